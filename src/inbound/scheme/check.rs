//! Which schemes can be used, and what is wrong with the others.

use http::HeaderValue;

use crate::error::Problem;
use crate::inbound::scheme::field::{Field, Part};
use crate::inbound::scheme::model::{
    Algorithm, Check, Scheme, SignatureFormat, SignatureRule, TimestampRule,
};
use crate::inbound::scheme::reception::{Condition, Envelope, FixedAnswer, Handshake, Reception};
use crate::primitives::header::is_reserved;

impl Scheme {
    /// Everything that is wrong with it; nothing if it can be used.
    ///
    /// ```
    /// use crossdock::inbound::presets;
    ///
    /// let mut scheme = presets::github();
    /// scheme.reception.reject = 200;
    ///
    /// assert_eq!(scheme.problems()[0].field, "reception.reject");
    /// ```
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Found(Vec::new());
        match &self.check {
            Check::Signature(rule) => found.signature(rule),
            Check::Code(name) => found.unless(
                (1..=64).contains(&name.len()),
                "check.code",
                "a verifier has a name of 1 to 64 bytes",
                "name a verifier of the host's configuration",
            ),
        }
        found.reception(&self.reception);
        found.0
    }
}

struct Found(Vec<Problem>);

impl Found {
    fn unless(&mut self, holds: bool, field: &str, rule: &str, fix: &str) {
        if !holds {
            self.0.push(Problem::new(field, rule, fix));
        }
    }

    /// Tenants write schemes, and each of these costs something for every request, a forged one too.
    fn at_most(&mut self, count: usize, most: usize, field: &str) {
        self.unless(count <= most, field, &format!("there are at most {most} of these"), "leave some out");
    }

    fn signature(&mut self, rule: &SignatureRule) {
        self.at_most(rule.signed.len(), 32, "check.signature.signed");
        self.at_most(rule.key.transforms.len(), 4, "check.signature.key.transforms");
        let bodies = rule.signed.iter().filter(|part| **part == Part::Body).count();
        self.unless(bodies <= 1, "check.signature.signed", "the body is signed once", "name `body` once");
        let at = "check.signature.at";
        match &rule.at {
            Field::Numbered(_) => self.unless(
                matches!(rule.format, SignatureFormat::Plain { .. }),
                at,
                "numbered headers hold one signature each",
                "use the format `plain`",
            ),
            field => self.place(field, at),
        }
        self.format(&rule.format);
        let computed = !matches!(rule.algorithm, Algorithm::StaticToken | Algorithm::BasicAuth);
        self.unless(
            !computed || rule.signed.iter().any(|part| !matches!(part, Part::Text(_))),
            "check.signature.signed",
            "a signature is over something of the request",
            "name the signed parts, such as `body`",
        );
        for part in &rule.signed {
            if let Part::Field(field) | Part::Optional(field) = part {
                self.place(field, "check.signature.signed");
            }
        }
        self.unless(
            rule.signed.contains(&Part::Id) == rule.id.is_some() || !computed,
            "check.signature.id",
            "the part `id` and its place belong together",
            "give both or neither",
        );
        if let Some(id) = &rule.id {
            self.place(id, "check.signature.id");
        }
        if let Some(each) = &rule.each {
            self.unless(
                each.wildcards() > 0,
                "check.signature.each",
                "the pointer goes through the elements of an array",
                "end it with `/*`",
            );
            self.unless(
                !computed || !rule.signed.contains(&Part::Body),
                "check.signature.signed",
                "an element signs its own parts, not the whole body",
                "name the parts of the element",
            );
            let named = rule.signed.iter().filter_map(|part| match part {
                Part::Field(field) | Part::Optional(field) => Some(field),
                _ => None,
            });
            let time = rule.timestamp.as_ref().and_then(|time| time.at.as_ref());
            let is_whole = |field: &Field| matches!(field, Field::Document(_) | Field::Form(_));
            self.unless(
                !named.chain([&rule.at]).chain(&rule.id).chain(time).any(is_whole),
                "check.signature.each",
                "what an element signs stands in the element or in a header: the whole body would be read for each",
                "use `json:` pointers",
            );
        }
        self.timestamp(rule, computed);
    }

    fn timestamp(&mut self, rule: &SignatureRule, computed: bool) {
        let listed = match &rule.format {
            SignatureFormat::KeyValue { timestamp, .. } => timestamp.is_some(),
            SignatureFormat::Positional { timestamp, .. } => timestamp.is_some(),
            _ => false,
        };
        let Some(timestamp) = &rule.timestamp else {
            self.unless(
                !listed && !rule.signed.contains(&Part::Timestamp),
                "check.signature.timestamp",
                "a timestamp that is named has a rule",
                "add `timestamp`, with `past` and `future`",
            );
            return;
        };
        self.unless(
            listed != timestamp.at.is_some(),
            "check.signature.timestamp.at",
            "the timestamp stands in one place",
            "give its place, or its name in the signature's format",
        );
        if let Some(at) = &timestamp.at {
            self.place(at, "check.signature.timestamp.at");
        }
        self.unless(
            computed && signs_timestamp(rule, timestamp),
            "check.signature.signed",
            "a timestamp that is not signed could be changed by anybody",
            "add `timestamp` to the signed parts",
        );
    }

    fn format(&mut self, format: &SignatureFormat) {
        let name = "check.signature.format";
        let is_mark = |separator: char| separator.is_ascii_punctuation() && !"=+/-_".contains(separator);
        match format {
            SignatureFormat::Plain { prefix } => self.unless(
                prefix.len() <= 64,
                name,
                "a prefix has at most 64 bytes",
                "use a prefix such as `sha256=`",
            ),
            SignatureFormat::KeyValue { separator, signature, timestamp } => {
                let good = |text: &str| {
                    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
                };
                self.unless(
                    is_mark(*separator)
                        && good(signature)
                        && timestamp.as_deref().is_none_or(|timestamp| good(timestamp) && timestamp != signature),
                    name,
                    "a list has two different names of letters and digits, and a mark such as `,` between its items",
                    "use names such as `t` and `v1`",
                );
            }
            SignatureFormat::Tagged { tag } => self.unless(
                (1..=64).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_graphic()),
                name,
                "a tag is 1 to 64 visible characters",
                "use a tag such as `v1,`",
            ),
            SignatureFormat::Positional { separator, signature, timestamp } => self.unless(
                is_mark(*separator)
                    && *signature < 16
                    && timestamp.is_none_or(|timestamp| timestamp < 16 && timestamp != *signature),
                name,
                "positions are different and below 16, with a mark such as `,` between the items",
                "count from 0",
            ),
        }
    }

    fn reception(&mut self, reception: &Reception) {
        self.unless(
            !reception.methods.is_empty(),
            "reception.methods",
            "a source takes a method at least",
            "use `POST`",
        );
        self.unless(
            (1..=Reception::LARGEST_BODY_CAP).contains(&reception.body_cap),
            "reception.body_cap",
            "a body has at most 10 MiB",
            "use a number up to 10485760",
        );
        self.unless(
            (400..=499).contains(&reception.reject),
            "reception.reject",
            "a forged request is answered with a status from 400 to 499",
            "use 401",
        );
        self.at_most(reception.methods.len(), 8, "reception.methods");
        self.at_most(reception.content_types.len(), 16, "reception.content_types");
        self.at_most(reception.handshakes.len(), 8, "reception.handshakes");
        self.answer(&reception.ack, "reception.ack");
        for handshake in &reception.handshakes {
            self.handshake(handshake);
        }
        self.envelope(&reception.envelope);
    }

    fn answer(&mut self, answer: &FixedAnswer, field: &str) {
        self.unless(
            (200..=299).contains(&answer.status),
            field,
            "what is taken is answered with a status from 200 to 299",
            "use 200",
        );
        self.unless(
            answer.content_type.as_deref().is_none_or(|value| HeaderValue::from_str(value).is_ok())
                && answer.body.len() <= 4096,
            field,
            "a content type is one line, and a fixed body has at most 4096 bytes",
            "use `text/plain` and a short body",
        );
    }

    fn handshake(&mut self, handshake: &Handshake) {
        let field = "reception.handshakes";
        let conditions = |found: &mut Self, when: &[Condition]| {
            found.at_most(when.len(), 8, field);
            for condition in when {
                found.place(&condition.field, field);
            }
        };
        match handshake {
            Handshake::QueryEcho { parameter, token, .. } => self.unless(
                !parameter.is_empty()
                    && token
                        .as_ref()
                        .is_none_or(|token| !token.parameter.is_empty() && !token.secret.is_empty()),
                field,
                "a parameter has a name",
                "use a name such as `hub.challenge`",
            ),
            Handshake::BodyEcho { when, echo, .. } => {
                self.is_told(when);
                conditions(self, when);
                self.place(echo, field);
            }
            Handshake::HmacChallenge { when, token, prefix, .. } => {
                conditions(self, when);
                self.place(token, field);
                self.unless(prefix.len() <= 64, field, "a prefix has at most 64 bytes", "use `sha256=`");
            }
            Handshake::HeaderEcho { header } => self.unless(
                !is_reserved(header),
                field,
                "an echoed header is none of the protocol's",
                "use a header such as `x-hook-secret`",
            ),
            Handshake::Ping { when, answer, .. } => {
                self.is_told(when);
                conditions(self, when);
                self.answer(answer, field);
            }
            Handshake::Options => {}
        }
    }

    fn is_told(&mut self, when: &[Condition]) {
        self.unless(
            !when.is_empty(),
            "reception.handshakes.when",
            "a handshake is told from an event by something",
            "add a condition",
        );
    }

    fn envelope(&mut self, envelope: &Envelope) {
        let depth = envelope.batch.as_ref().map_or(0, |batch| batch.elements.wildcards());
        self.unless(
            envelope.batch.is_none() || depth > 0,
            "reception.envelope.batch",
            "the pointer goes through the elements of an array",
            "end it with `/*`",
        );
        self.at_most(envelope.event_id.len(), 8, "reception.envelope.event_id");
        self.at_most(envelope.kind.len(), 8, "reception.envelope.kind");
        let several = envelope.event_id.iter().chain(&envelope.kind);
        let single = [&envelope.delivery_id, &envelope.tenant_key, &envelope.sequence];
        let moment = envelope.occurred_at.as_ref().map(|moment| &moment.at);
        for field in several.chain(single.into_iter().flatten()).chain(moment) {
            match field {
                Field::Document(pointer) => self.unless(
                    pointer.wildcards() <= depth,
                    "reception.envelope",
                    "a pointer into the document has no more `*` than the batch",
                    "take a `*` out",
                ),
                field => self.place(field, "reception.envelope"),
            }
        }
    }

    /// A place for one text.
    fn place(&mut self, field: &Field, name: &str) {
        let single = match field {
            Field::Numbered(_) => false,
            Field::Header(names) => names.len() <= 8,
            Field::Json(pointer) | Field::Document(pointer) => pointer.wildcards() == 0,
            _ => true,
        };
        self.unless(
            single,
            name,
            "a place holds one text, without numbered headers, without `*`, and with at most 8 headers to look at",
            "name a single header, parameter or pointer",
        );
    }
}

/// Whether nobody but the signer can have written the timestamp.
fn signs_timestamp(rule: &SignatureRule, timestamp: &TimestampRule) -> bool {
    let in_body = matches!(timestamp.at, Some(Field::Json(_) | Field::Document(_) | Field::Form(_)));
    rule.signed.iter().any(|part| match part {
        Part::Timestamp => true,
        Part::Body => in_body,
        Part::Field(field) => timestamp.at.as_ref() == Some(field),
        _ => false,
    })
}
