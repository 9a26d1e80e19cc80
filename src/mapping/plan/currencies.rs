//! How many decimals the smallest unit of a currency is behind the point: ISO 4217.

/// The decimals of a currency; nothing for a code that ISO 4217 does not list.
pub(crate) fn places(code: &str) -> Option<u32> {
    if code.len() != 3 {
        return None;
    }
    let listed = |codes: &str| codes.split(' ').any(|listed| listed == code);
    if listed(TWO) {
        Some(2)
    } else if listed(NONE) {
        Some(0)
    } else if listed(THREE) {
        Some(3)
    } else if listed(FOUR) {
        Some(4)
    } else {
        None
    }
}

// The most frequent ones stand first.
const TWO: &str = "EUR USD GBP CHF CAD AUD CNY INR SEK NOK DKK PLN CZK HUF RON BGN TRY MXN BRL ZAR SGD HKD NZD THB ILS AED SAR \
    AFN ALL AMD ANG AOA ARS AWG AZN BAM BBD BDT BMD BND BOB BOV BSD BTN BWP BYN BZD CDF CHE CHW COP COU CRC CUC CUP CVE DOP DZD \
    EGP ERN ETB FJD FKP GEL GHS GIP GMD GTQ GYD HNL HRK HTG IDR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA \
    MKD MMK MNT MOP MRU MUR MVR MWK MXV MYR MZN NAD NGN NIO NPR PAB PEN PGK PHP PKR QAR RSD RUB SBD SCR SDG SHP SLE SLL SOS SRD \
    SSP STN SVC SYP SZL TJS TMT TOP TTD TWD TZS UAH USN UYU UZS VED VES WST XCD XCG YER ZMW ZWG ZWL";
const NONE: &str = "JPY KRW VND CLP ISK PYG UGX BIF DJF GNF KMF RWF UYI VUV XAF XOF XPF";
const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
const FOUR: &str = "CLF UYW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_have_their_decimals_and_inventions_none() {
        for (code, expected) in [
            ("EUR", Some(2)),
            ("JPY", Some(0)),
            ("KWD", Some(3)),
            ("CLF", Some(4)),
            ("XYZ", None),
            ("eur", None),
            ("", None),
            ("R U", None),
        ] {
            assert_eq!(places(code), expected, "{code}");
        }
    }
}
