//! The task as one would write it by hand over `serde_json::Value`.

use std::error::Error;

use crossdock::mapping::Decimal;
use serde_json::{Map, Number, Value};

use super::typed::{carrier, country, cut, date, minor_units};

/// The sales order of this order.
pub(crate) fn translate(order: &Value) -> Result<Value, Box<dyn Error>> {
    let currency = text(&order["currency"]).ok_or("an order has a currency")?;
    let mut out = Map::new();
    let id = order["id"].as_u64().ok_or("an order has an id")?;
    out.insert("externalId".into(), format!("SHOP-{id}").into());
    if let Some(name) = text(&order["name"]) {
        out.insert("orderNumber".into(), name.strip_prefix('#').unwrap_or(name).into());
    }
    if let Some(created) = text(&order["created_at"]) {
        out.insert("orderDate".into(), date(created)?.into());
    }
    out.insert("orderType".into(), "ZOR".into());
    out.insert("currency".into(), currency.into());
    if let Some(source) = text(&order["source_name"]) {
        out.insert("channel".into(), source.to_uppercase().into());
    }
    if let Some(locale) = text(&order["customer_locale"]) {
        out.insert("locale".into(), locale.replace('-', "_").into());
    }
    let status = match (order["cancelled_at"].is_null(), order["fulfillment_status"].as_str()) {
        (false, _) => "CANCELLED",
        (true, Some("fulfilled")) => "SHIPPED",
        (true, Some("partial")) => "PARTIAL",
        _ => "OPEN",
    };
    out.insert("status".into(), status.into());
    out.insert("paid".into(), (order["financial_status"] == "paid").into());
    out.insert("customer".into(), sold_to(order)?);
    out.insert("billTo".into(), party(&order["billing_address"])?);
    out.insert("shipTo".into(), party(&order["shipping_address"])?);
    if let Some(code) = text(&order["shipping_lines"][0]["code"]) {
        out.insert("carrier".into(), carrier(code)?.into());
    }
    let mut totals = Map::new();
    for (to, from) in [
        ("gross", "total_price"),
        ("tax", "total_tax"),
        ("discount", "total_discounts"),
        ("shipping", "total_shipping_price"),
    ] {
        if let Some(amount) = text(&order[from]) {
            totals.insert(to.into(), minor_units(amount)?.into());
        }
    }
    out.insert("totals".into(), Value::Object(totals));
    if let Some(weight) = order["total_weight"].as_i64() {
        out.insert("weightKg".into(), exact(Decimal::from(weight).scaled(-3)?)?);
    }
    let attributes = order["note_attributes"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(vat) = attributes.iter().find(|attribute| attribute["name"] == "vat_id")
        && let Some(vat) = text(&vat["value"])
    {
        out.insert("vatId".into(), vat.into());
    }
    if let Some(note) = text(&order["note"]) {
        out.insert("text".into(), cut(note).into());
    }
    let items = order["line_items"].as_array().ok_or("an order has lines")?;
    let mut lines = Vec::with_capacity(items.len());
    for item in items.iter().filter(|item| item["quantity"].as_i64() > Some(0)) {
        lines.push(line(item, lines.len(), currency)?);
    }
    out.insert("lines".into(), Value::Array(lines));
    Ok(Value::Object(out))
}

fn line(item: &Value, index: usize, currency: &str) -> Result<Value, Box<dyn Error>> {
    let quantity = item["quantity"].as_i64().ok_or("a line has a quantity")?;
    let price: Decimal = text(&item["price"]).ok_or("a line has a price")?.parse()?;
    let discount: Decimal = text(&item["total_discount"]).ok_or("a line has a discount")?.parse()?;
    let mut line = Map::new();
    line.insert("lineNo".into(), (10 + index * 10).into());
    line.insert("sourceLineId".into(), item["id"].clone());
    line.insert("sku".into(), text(&item["sku"]).ok_or("a line has an article")?.into());
    if let Some(title) = text(&item["title"]) {
        line.insert("description".into(), cut(title).into());
    }
    line.insert("quantity".into(), quantity.into());
    line.insert("unit".into(), "EA".into());
    line.insert("unitPrice".into(), exact(price)?);
    line.insert("total".into(), exact(price.times(quantity.into())?.minus(discount)?)?);
    line.insert("currency".into(), currency.into());
    Ok(Value::Object(line))
}

fn sold_to(order: &Value) -> Result<Value, Box<dyn Error>> {
    let customer = &order["customer"];
    let mut out = Map::new();
    out.insert("id".into(), customer["id"].as_u64().ok_or("a customer has an id")?.into());
    if let Some(name) = joined(&customer["first_name"], &customer["last_name"], " ") {
        out.insert("name".into(), name.into());
    }
    let emails = [&order["contact_email"], &customer["email"], &order["email"]];
    if let Some(email) = emails.into_iter().find_map(text) {
        out.insert("email".into(), email.to_lowercase().into());
    }
    if let Some(phone) = text(&order["phone"]) {
        out.insert("phone".into(), phone.chars().filter(char::is_ascii_digit).collect::<String>().into());
    }
    Ok(Value::Object(out))
}

fn party(address: &Value) -> Result<Value, Box<dyn Error>> {
    let mut out = Map::new();
    if let Some(name) = joined(&address["first_name"], &address["last_name"], " ") {
        out.insert("name".into(), name.into());
    }
    if let Some(street) = joined(&address["address1"], &address["address2"], ", ") {
        out.insert("street".into(), street.into());
    }
    for (to, from) in [("company", "company"), ("city", "city"), ("postcode", "zip")] {
        if let Some(text) = text(&address[from]) {
            out.insert(to.into(), text.into());
        }
    }
    if let Some(code) = text(&address["country_code"]) {
        out.insert("country".into(), country(code)?.into());
    }
    Ok(Value::Object(out))
}

fn joined(first: &Value, second: &Value, separator: &str) -> Option<String> {
    match (text(first), text(second)) {
        (Some(first), Some(second)) => Some([first, second].join(separator)),
        (only, None) | (None, only) => only.map(str::to_owned),
    }
}

/// A text that is not empty.
fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// The nearest number that a `Value` holds.
fn exact(number: Decimal) -> Result<Value, Box<dyn Error>> {
    match number.whole().map(i64::try_from) {
        Some(Ok(whole)) => Ok(whole.into()),
        _ => Ok(Value::Number(Number::from_f64(number.to_string().parse()?).ok_or("a finite number")?)),
    }
}
