//! The task as one would write it by hand, with serde's derived structs for both ends.

use std::borrow::Cow;
use std::error::Error;

use crossdock::mapping::Decimal;
use serde::{Deserialize, Serialize, Serializer};

#[derive(Deserialize)]
struct Order<'a> {
    id: u64,
    #[serde(borrow)]
    name: Cow<'a, str>,
    created_at: &'a str,
    currency: &'a str,
    #[serde(borrow)]
    source_name: Cow<'a, str>,
    customer_locale: Option<&'a str>,
    cancelled_at: Option<&'a str>,
    fulfillment_status: Option<&'a str>,
    financial_status: &'a str,
    #[serde(borrow)]
    contact_email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    phone: Option<Cow<'a, str>>,
    #[serde(borrow)]
    note: Option<Cow<'a, str>>,
    total_price: &'a str,
    total_tax: &'a str,
    total_discounts: &'a str,
    total_shipping_price: &'a str,
    total_weight: i64,
    #[serde(borrow)]
    customer: Customer<'a>,
    #[serde(borrow)]
    billing_address: Address<'a>,
    #[serde(borrow)]
    shipping_address: Address<'a>,
    #[serde(borrow)]
    shipping_lines: Vec<ShippingLine<'a>>,
    #[serde(borrow)]
    note_attributes: Vec<Attribute<'a>>,
    #[serde(borrow)]
    line_items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Customer<'a> {
    id: u64,
    #[serde(borrow)]
    email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    first_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    last_name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Address<'a> {
    #[serde(borrow)]
    first_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    last_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    company: Option<Cow<'a, str>>,
    #[serde(borrow)]
    address1: Option<Cow<'a, str>>,
    #[serde(borrow)]
    address2: Option<Cow<'a, str>>,
    #[serde(borrow)]
    city: Option<Cow<'a, str>>,
    #[serde(borrow)]
    zip: Option<Cow<'a, str>>,
    country_code: &'a str,
}

#[derive(Deserialize)]
struct ShippingLine<'a> {
    code: &'a str,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Item<'a> {
    id: u64,
    #[serde(borrow)]
    sku: Cow<'a, str>,
    #[serde(borrow)]
    title: Cow<'a, str>,
    quantity: i64,
    price: &'a str,
    total_discount: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SalesOrder<'a> {
    external_id: String,
    order_number: &'a str,
    order_date: String,
    order_type: &'static str,
    currency: &'a str,
    channel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    status: &'static str,
    paid: bool,
    customer: SoldTo<'a>,
    bill_to: Party<'a>,
    ship_to: Party<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<&'static str>,
    totals: Totals,
    weight_kg: Exact,
    #[serde(skip_serializing_if = "Option::is_none")]
    vat_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct SoldTo<'a> {
    id: u64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

#[derive(Serialize)]
struct Party<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<&'a str>,
    street: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postcode: Option<&'a str>,
    country: &'static str,
}

#[derive(Serialize)]
struct Totals {
    gross: i64,
    tax: i64,
    discount: i64,
    shipping: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    line_no: usize,
    source_line_id: u64,
    sku: &'a str,
    description: &'a str,
    quantity: i64,
    unit: &'static str,
    unit_price: Exact,
    total: Exact,
    currency: &'a str,
}

/// Written as a number with all its digits.
struct Exact(Decimal);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let raw = serde_json::value::RawValue::from_string(self.0.to_string()).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Appends the sales order of this order.
pub(crate) fn translate(order: &[u8], out: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
    let order: Order<'_> = serde_json::from_slice(order)?;
    let mut lines = Vec::with_capacity(order.line_items.len());
    for (index, item) in order.line_items.iter().filter(|item| item.quantity > 0).enumerate() {
        let price: Decimal = item.price.parse()?;
        lines.push(Line {
            line_no: 10 + index * 10,
            source_line_id: item.id,
            sku: &item.sku,
            description: cut(&item.title),
            quantity: item.quantity,
            unit: "EA",
            unit_price: Exact(price),
            total: Exact(price.times(item.quantity.into())?.minus(item.total_discount.parse()?)?),
            currency: order.currency,
        });
    }
    let customer = &order.customer;
    let sales_order = SalesOrder {
        external_id: format!("SHOP-{}", order.id),
        order_number: order.name.strip_prefix('#').unwrap_or(&order.name),
        order_date: date(order.created_at)?,
        order_type: "ZOR",
        currency: order.currency,
        channel: order.source_name.to_uppercase(),
        locale: order.customer_locale.map(|locale| locale.replace('-', "_")),
        status: match (order.cancelled_at, order.fulfillment_status) {
            (Some(_), _) => "CANCELLED",
            (None, Some("fulfilled")) => "SHIPPED",
            (None, Some("partial")) => "PARTIAL",
            _ => "OPEN",
        },
        paid: order.financial_status == "paid",
        customer: SoldTo {
            id: customer.id,
            name: joined(&customer.first_name, &customer.last_name, " "),
            email: [&order.contact_email, &customer.email, &order.email]
                .into_iter()
                .flatten()
                .find(|email| !email.is_empty())
                .map(|email| Cow::Owned(email.to_lowercase())),
            phone: order.phone.as_ref().map(|phone| phone.chars().filter(char::is_ascii_digit).collect()),
        },
        bill_to: party(&order.billing_address)?,
        ship_to: party(&order.shipping_address)?,
        carrier: order.shipping_lines.first().map(|line| carrier(line.code)).transpose()?,
        totals: Totals {
            gross: minor_units(order.total_price)?,
            tax: minor_units(order.total_tax)?,
            discount: minor_units(order.total_discounts)?,
            shipping: minor_units(order.total_shipping_price)?,
        },
        weight_kg: Exact(Decimal::from(order.total_weight).scaled(-3)?),
        vat_id: order
            .note_attributes
            .iter()
            .find(|attribute| attribute.name == "vat_id")
            .map(|attribute| &*attribute.value),
        text: order.note.as_deref().map(cut),
        lines,
    };
    Ok(serde_json::to_writer(out, &sales_order)?)
}

fn party<'a>(address: &'a Address<'a>) -> Result<Party<'a>, Box<dyn Error>> {
    Ok(Party {
        name: joined(&address.first_name, &address.last_name, " "),
        company: address.company.as_deref(),
        street: joined(&address.address1, &address.address2, ", "),
        city: address.city.as_deref(),
        postcode: address.zip.as_deref(),
        country: country(address.country_code)?,
    })
}

fn joined(first: &Option<Cow<'_, str>>, second: &Option<Cow<'_, str>>, separator: &str) -> String {
    match (first.as_deref().unwrap_or(""), second.as_deref().unwrap_or("")) {
        (only, "") | ("", only) => only.to_owned(),
        (first, second) => [first, second].join(separator),
    }
}

pub(crate) fn cut(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

pub(crate) fn date(text: &str) -> Result<String, Box<dyn Error>> {
    Ok(chrono::DateTime::parse_from_rfc3339(text)?.format("%Y%m%d").to_string())
}

pub(crate) fn minor_units(amount: &str) -> Result<i64, Box<dyn Error>> {
    let whole = amount.parse::<Decimal>()?.scaled(2)?.whole().ok_or("an amount of whole cents")?;
    Ok(i64::try_from(whole)?)
}

pub(crate) fn country(code: &str) -> Result<&'static str, Box<dyn Error>> {
    Ok(match code {
        "DE" => "DEU",
        "FR" => "FRA",
        "NL" => "NLD",
        "DK" => "DNK",
        "US" => "USA",
        _ => return Err("an unknown country".into()),
    })
}

pub(crate) fn carrier(code: &str) -> Result<&'static str, Box<dyn Error>> {
    Ok(match code {
        "DHL_STD" => "DHL01",
        "DHL_EXP" => "DHL02",
        "UPS" => "UPS01",
        _ => return Err("an unknown carrier".into()),
    })
}
