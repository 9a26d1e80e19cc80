//! The faults: one line of the table each.

use std::time::Duration;

use super::proxy::Ends::{Closed, Never, Passing, Reset};
use super::proxy::Takes::{Everything, Head, Nothing, PartOfTheBody, Something};
use super::proxy::{Encounter, Handling, Upto};

/// What goes wrong between the hub and a receiver that is well.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// The words of the table.
    pub(super) name: &'static str,
    /// What the first connections meet with.
    pub(super) encounters: Vec<Encounter>,
    /// What the first lookups say.
    pub(super) lookups: Vec<Lookup>,
    /// Which certificate the first connection is shown.
    pub(super) certificate: Option<Certificate>,
    pub(super) scheme: Scheme,
    /// Whether an event was delivered before, so that a connection waits.
    pub(super) warm: Warm,
    /// Kilobytes of payload.
    pub(super) payload: usize,
    /// Whether only a limit in time ends it.
    pub(super) hangs: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// What the receiver does with the connection after the first event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Warm {
    No,
    /// It closes the connection while nobody uses it.
    ThenClosed,
    /// It takes the second request and closes then.
    ThenClosedBehindTheRequest,
}

/// What a name server says once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lookup {
    NoSuchName,
    /// An answer that comes when nobody waits for it any more.
    Late(Duration),
    Nothing,
    Many,
    Forbidden,
    OneForbidden,
    Good,
    /// Another address, as permitted as the first one.
    Moved,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Certificate {
    OtherName,
    Expired,
    SelfSigned,
    UnknownAuthority,
    /// A good one, but the connection is cut off behind half of the answer.
    CutOff,
}

impl Fault {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            encounters: Vec::new(),
            lookups: Vec::new(),
            certificate: None,
            scheme: Scheme::Http,
            warm: Warm::No,
            payload: 0,
            hangs: false,
        }
    }

    fn on(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    fn meets(mut self, encounter: Encounter) -> Self {
        self.encounters.push(encounter);
        self
    }

    fn hangs(mut self) -> Self {
        self.hangs = true;
        self
    }

    fn with(mut self, kilobytes: usize) -> Self {
        self.payload = kilobytes;
        self
    }
}

/// All of them, in the order of the way: names, connections, TLS, the request, the answer.
pub(super) fn all() -> Vec<Fault> {
    [names(), connections(), tls(), requests(), heads(), bodies(), idle()].concat()
}

fn names() -> Vec<Fault> {
    let answers = |name, lookups: &[Lookup]| Fault { lookups: lookups.to_vec(), ..Fault::new(name) };
    vec![
        answers("the name does not exist", &[Lookup::NoSuchName]),
        answers("the name server does not answer in time", &[Lookup::Late(Duration::from_millis(2_500))]),
        answers("the name has no address", &[Lookup::Nothing]),
        answers("the name has more than 64 addresses", &[Lookup::Many]),
        answers("the name has a forbidden address", &[Lookup::Forbidden]),
        answers("one of the name's addresses is forbidden", &[Lookup::OneForbidden]),
        Fault {
            encounters: vec![Encounter::Refused],
            ..answers(
                "the name changes to a forbidden address",
                &[Lookup::Good, Lookup::Forbidden, Lookup::Forbidden],
            )
        },
        Fault {
            encounters: vec![Encounter::Silence],
            hangs: true,
            ..answers("the name changes to an address that works", &[Lookup::Good, Lookup::Moved])
        },
    ]
}

fn connections() -> Vec<Fault> {
    let handled = |name, handling| Fault::new(name).meets(Encounter::Handled(handling));
    vec![
        Fault::new("the connection is refused").meets(Encounter::Refused),
        Fault::new("packets vanish").meets(Encounter::Silence).hangs(),
        Fault::new("the connection ends at another address").meets(Encounter::WrongPeer),
        handled("reset as soon as it is accepted", Handling::takes(Nothing).ends(Reset)),
        handled("closed as soon as it is accepted", Handling::takes(Nothing)),
        handled("accepted and never read", Handling::takes(Nothing).ends(Never)).with(200).hangs(),
    ]
}

fn tls() -> Vec<Fault> {
    let handled = |name, handling| Fault::new(name).on(Scheme::Https).meets(Encounter::Handled(handling));
    let shown =
        |name, certificate| Fault { certificate: Some(certificate), ..Fault::new(name).on(Scheme::Https) };
    vec![
        // Level fatal, handshake failure.
        handled("TLS: an alert", Handling::takes(Something).and(b"\x15\x03\x03\x00\x02\x02\x28")),
        handled("TLS: the handshake is cut off", Handling::takes(Something)),
        handled("TLS: the handshake hangs", Handling::takes(Something).ends(Never)).hangs(),
        handled(
            "TLS: plain HTTP answers",
            Handling::takes(Something).and("HTTP/1.1 400 Bad Request\r\n\r\n"),
        ),
        shown("TLS: a certificate for another name", Certificate::OtherName),
        shown("TLS: an expired certificate", Certificate::Expired),
        shown("TLS: a self-signed certificate", Certificate::SelfSigned),
        shown("TLS: an unknown authority", Certificate::UnknownAuthority),
        shown("TLS: cut off in the middle of the answer", Certificate::CutOff),
    ]
}

fn requests() -> Vec<Fault> {
    let handled = |name, handling| Fault::new(name).meets(Encounter::Handled(handling));
    let early = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    vec![
        handled("reset behind the request's head", Handling::takes(Head).ends(Reset)).with(200),
        handled("reset in the middle of the request's body", Handling::takes(PartOfTheBody).ends(Reset))
            .with(200),
        handled("the request is taken and never answered", Handling::takes(Everything).ends(Never)).hangs(),
        handled("closed behind the request, without a byte", Handling::takes(Everything)),
        handled("reset behind the request, without a byte", Handling::takes(Everything).ends(Reset)),
        handled("answered before the request was read", Handling::takes(Head).and(early).ends(Never))
            .with(200),
    ]
}

fn heads() -> Vec<Fault> {
    let handled = |name, handling| Fault::new(name).meets(Encounter::Handled(handling));
    let says = |name, bytes: &str| handled(name, Handling::says(bytes).ends(Never));
    let many = "x-a: 1\r\n".repeat(101);
    let long = "a".repeat(70_000);
    vec![
        handled("cut off in the status line", Handling::answers(Upto::StatusLine)),
        handled("cut off in the headers", Handling::answers(Upto::Headers)),
        handled("reset in the headers", Handling::answers(Upto::Headers).ends(Reset)),
        handled(
            "one byte per second of the head",
            Handling::says("").slowly("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ends(Never),
        )
        .hangs(),
        says("garbage instead of HTTP", "\u{1}\u{2}\u{3} garbage\r\n\r\n"),
        says("another protocol's greeting", "SSH-2.0-OpenSSH_9.6\r\n"),
        handled("HTTP/0.9: a body without a head", Handling::says("<html>hello</html>\r\n")),
        handled("HTTP/2 frames", Handling::says(b"\0\0\0\x04\0\0\0\0\0").ends(Never)),
        says("a status that does not exist", "HTTP/1.1 999 Whatever\r\ncontent-length: 0\r\n\r\n"),
        says("more than 100 headers", &format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        says("a header of 70,000 bytes", &format!("HTTP/1.1 200 OK\r\nx-a: {long}\r\n\r\n")),
        handled(
            "headers without end",
            Handling::says("HTTP/1.1 200 OK\r\n").for_ever("x-a: 1\r\n".repeat(100)),
        ),
        handled(
            "100 Continue for ever",
            Handling::says("").for_ever("HTTP/1.1 100 Continue\r\n\r\n".repeat(100)),
        )
        .hangs(),
        says(
            "101 to another protocol",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        ),
        handled(
            "a redirect",
            Handling::says(
                "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
            )
            .ends(Passing),
        ),
        says("two different lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok"),
        says("a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
        says("a length that is no number", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"),
    ]
}

fn bodies() -> Vec<Fault> {
    let handled = |name, handling| Fault::new(name).meets(Encounter::Handled(handling));
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let zeros = [0; 32 * 1024];
    vec![
        handled("cut off behind the answer's head", Handling::answers(Upto::Head)),
        handled("reset behind the answer's head", Handling::answers(Upto::Head).ends(Reset)),
        handled("cut off in the answer's body", Handling::answers(Upto::Body)),
        handled("reset in the answer's body", Handling::answers(Upto::Body).ends(Reset)),
        handled("the answer's body stops half-way", Handling::answers(Upto::Body).ends(Never)).hangs(),
        handled(
            "one byte per second of the body",
            Handling::says("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").slowly([b'x'; 100]),
        )
        .hangs(),
        handled("more body than its length says", Handling::answers(Upto::End).and("and more").ends(Never)),
        handled(
            "a second answer behind the first",
            Handling::answers(Upto::End).and("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").ends(Never),
        ),
        handled("a chunk whose size is no number", Handling::says(chunked).and("what?\r\n").ends(Never)),
        handled("chunks that are cut off", Handling::says(chunked).and("5\r\nhel")),
        handled("chunks without end", Handling::says(chunked).for_ever("1\r\nx\r\n".repeat(10_000))),
        handled("a body without end", Handling::says("HTTP/1.1 200 OK\r\n\r\n").for_ever(zeros)),
        handled(
            "a compressed bomb",
            Handling::says("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10485760\r\n\r\n")
                .for_ever(zeros),
        ),
    ]
}

fn idle() -> Vec<Fault> {
    vec![
        Fault { warm: Warm::ThenClosed, ..Fault::new("a waiting connection was closed by the receiver") },
        Fault {
            warm: Warm::ThenClosedBehindTheRequest,
            ..Fault::new("a waiting connection is closed behind the next request")
        },
        Fault {
            encounters: vec![Encounter::Handled(Handling::takes(Everything).ends(Closed)); 3],
            ..Fault::new("closed without a byte, at every attempt")
        },
    ]
}
