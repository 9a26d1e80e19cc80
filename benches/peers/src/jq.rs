//! The task in jq, run by jaq.

use std::error::Error;

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::{Val, read, write};

pub struct Filter(jaq_core::Filter<JustLut<Val>>);

impl Filter {
    pub fn compile() -> Result<Self, Box<dyn Error>> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code: PROGRAM, path: () })
            .map_err(|errors| format!("{errors:?}"))?;
        let filter = Compiler::default()
            .with_funs(functions)
            .compile(modules)
            .map_err(|errors| format!("{errors:?}"))?;
        Ok(Self(filter))
    }

    pub fn run(&self, order: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let input = read::parse_single(order).map_err(|error| error.to_string())?;
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        let mut results = self.0.id.run((context, input)).map(unwrap_valr);
        let result = results.next().ok_or("a result")?.map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        write::write(&mut out, &write::Pp::default(), 0, &result)?;
        Ok(out)
    }
}

const PROGRAM: &str = r##"
def filled: select(. != null and . != "");
def minor: tonumber * 100 | round;
def joined($separator): map(filled) | join($separator);
def country: {"DE": "DEU", "FR": "FRA", "NL": "NLD", "DK": "DNK", "US": "USA"}[.] // error("unknown country");
def carrier: {"DHL_STD": "DHL01", "DHL_EXP": "DHL02", "UPS": "UPS01"}[.] // error("unknown carrier");
def party: {
  name: ([.first_name, .last_name] | joined(" ")),
  company: .company,
  street: ([.address1, .address2] | joined(", ")),
  city: .city,
  postcode: .zip,
  country: (.country_code | country)
} | with_entries(select(.value != null and .value != ""));
. as $order | {
  externalId: "SHOP-\(.id)",
  orderNumber: (.name | ltrimstr("#")),
  orderDate: (.created_at[0:10] | gsub("-"; "")),
  orderType: "ZOR",
  currency: .currency,
  channel: (.source_name | ascii_upcase),
  locale: (.customer_locale | gsub("-"; "_")),
  status: (if .cancelled_at != null then "CANCELLED"
    elif .fulfillment_status == "fulfilled" then "SHIPPED"
    elif .fulfillment_status == "partial" then "PARTIAL"
    else "OPEN" end),
  paid: (.financial_status == "paid"),
  customer: {
    id: .customer.id,
    name: ([.customer.first_name, .customer.last_name] | joined(" ")),
    email: (first((.contact_email, .customer.email, .email) | filled) | ascii_downcase),
    phone: (.phone | gsub("[^0-9]"; ""))
  },
  billTo: (.billing_address | party),
  shipTo: (.shipping_address | party),
  carrier: (.shipping_lines[0].code | carrier),
  totals: {
    gross: (.total_price | minor),
    tax: (.total_tax | minor),
    discount: (.total_discounts | minor),
    shipping: (.total_shipping_price | minor)
  },
  weightKg: (.total_weight / 1000),
  vatId: first(.note_attributes[] | select(.name == "vat_id") | .value),
  text: .note[0:40],
  lines: [.line_items | map(select(.quantity > 0)) | to_entries[] | .key as $index | .value | {
    lineNo: (10 + $index * 10),
    sourceLineId: .id,
    sku: .sku,
    description: .title[0:40],
    quantity: .quantity,
    unit: "EA",
    unitPrice: (.price | tonumber),
    total: (((.price | tonumber) * .quantity - (.total_discount | tonumber)) * 100 | round / 100),
    currency: $order.currency
  }]
}
"##;
