//! The task in VRL, the language of Vector.

use std::collections::BTreeMap;
use std::error::Error;

use vrl::compiler::runtime::Runtime;
use vrl::compiler::{TargetValue, TimeZone, compile};
use vrl::value::{Secrets, Value};

pub struct Program(vrl::compiler::Program);

impl Program {
    pub fn compile() -> Result<Self, Box<dyn Error>> {
        match compile(PROGRAM, &vrl::stdlib::all()) {
            Ok(result) => Ok(Self(result.program)),
            Err(problems) => {
                let problems: Vec<String> = problems
                    .into_iter()
                    .map(|problem| format!("{} {:?}", problem.message, problem.labels))
                    .collect();
                Err(problems.join("\n").into())
            }
        }
    }

    pub fn run(&self, order: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut target = TargetValue {
            value: serde_json::from_slice(order)?,
            metadata: Value::Object(BTreeMap::new()),
            secrets: Secrets::default(),
        };
        let result = Runtime::default()
            .resolve(&mut target, &self.0, &TimeZone::default())
            .map_err(|error| error.to_string())?;
        Ok(serde_json::to_vec(&result)?)
    }
}

const PROGRAM: &str = r##"
countries = {"DE": "DEU", "FR": "FRA", "NL": "NLD", "DK": "DNK", "US": "USA"}
carriers = {"DHL_STD": "DHL01", "DHL_EXP": "DHL02", "UPS": "UPS01"}

status = "OPEN"
if !is_null(.cancelled_at) {
  status = "CANCELLED"
} else if .fulfillment_status == "fulfilled" {
  status = "SHIPPED"
} else if .fulfillment_status == "partial" {
  status = "PARTIAL"
}

email = .contact_email
if is_nullish(email) { email = .customer.email }
if is_nullish(email) { email = .email }

bill_to = compact({
  "name": join!(compact([.billing_address.first_name, .billing_address.last_name]), " "),
  "company": .billing_address.company,
  "street": join!(compact([.billing_address.address1, .billing_address.address2]), ", "),
  "city": .billing_address.city,
  "postcode": .billing_address.zip,
  "country": string!(get!(countries, [.billing_address.country_code]))
})
ship_to = compact({
  "name": join!(compact([.shipping_address.first_name, .shipping_address.last_name]), " "),
  "company": .shipping_address.company,
  "street": join!(compact([.shipping_address.address1, .shipping_address.address2]), ", "),
  "city": .shipping_address.city,
  "postcode": .shipping_address.zip,
  "country": string!(get!(countries, [.shipping_address.country_code]))
})

vat = filter(array!(.note_attributes)) -> |_index, attribute| { attribute.name == "vat_id" }

lines = []
for_each(array!(.line_items)) -> |_index, item| {
  quantity = int!(item.quantity)
  if quantity > 0 {
    price = to_float!(item.price)
    lines = push(lines, {
      "lineNo": 10 + length(lines) * 10,
      "sourceLineId": item.id,
      "sku": item.sku,
      "description": truncate(string!(item.title), 40),
      "quantity": quantity,
      "unit": "EA",
      "unitPrice": price,
      "total": round(price * quantity - to_float!(item.total_discount), 2),
      "currency": .currency
    })
  }
}

. = {
  "externalId": "SHOP-" + to_string!(.id),
  "orderNumber": replace(string!(.name), "#", "", 1),
  "orderDate": format_timestamp!(parse_timestamp!(.created_at, "%+"), "%Y%m%d"),
  "orderType": "ZOR",
  "currency": .currency,
  "channel": upcase(string!(.source_name)),
  "locale": replace(string!(.customer_locale), "-", "_"),
  "status": status,
  "paid": .financial_status == "paid",
  "customer": {
    "id": .customer.id,
    "name": join!(compact([.customer.first_name, .customer.last_name]), " "),
    "email": downcase(string!(email)),
    "phone": replace(string!(.phone), r'[^0-9]', "")
  },
  "billTo": bill_to,
  "shipTo": ship_to,
  "carrier": string!(get!(carriers, [.shipping_lines[0].code])),
  "totals": {
    "gross": to_int(round(to_float!(.total_price) * 100)),
    "tax": to_int(round(to_float!(.total_tax) * 100)),
    "discount": to_int(round(to_float!(.total_discounts) * 100)),
    "shipping": to_int(round(to_float!(.total_shipping_price) * 100))
  },
  "weightKg": int!(.total_weight) / 1000,
  "vatId": vat[0].value,
  "text": truncate(string!(.note), 40),
  "lines": lines
}
.
"##;
