//! Opening a TCP connection to an address that has been judged.

use std::fmt::{self, Debug};
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// An open connection and the address at its other end.
pub struct Dialled {
    pub(super) io: Box<dyn Io>,
    pub(super) peer: SocketAddr,
}

impl Dialled {
    /// `peer` is what the socket itself says, not what was asked for.
    pub fn new(io: impl Io, peer: SocketAddr) -> Self {
        Self { io: Box::new(io), peer }
    }

    /// The stream and the address at its other end, for whoever dials through another dialler.
    pub fn into_parts(self) -> (Box<dyn Io>, SocketAddr) {
        (self.io, self.peer)
    }
}

impl Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialled").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Opens connections.
///
/// The transport asks only for addresses that the policy permits, and checks the answer again. Tests put a script
/// in its place, and so does whoever has to go through a tunnel.
///
/// # Contract
/// - It connects to exactly this address, or fails.
/// - The peer of the answer is the address at the other end of the connection.
/// - Dropping the future leaves no connection open.
#[async_trait]
pub trait Dial: Debug + Send + Sync + 'static {
    /// Opens a connection to this address.
    ///
    /// # Errors
    /// Whatever the system says; the tenant learns only that the receiver cannot be reached.
    async fn dial(&self, address: SocketAddr) -> io::Result<Dialled>;
}

/// Plain TCP, without waiting for more bytes to send.
///
/// ```no_run
/// use crossdock::adapters::http_client::{Dial, TcpDialler};
///
/// # async fn dial() -> Result<(), Box<dyn std::error::Error>> {
/// let dialled = TcpDialler::new().dial("93.184.216.34:443".parse()?).await?;
/// # let _ = dialled;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDialler {}

impl TcpDialler {
    /// A dialler.
    pub const fn new() -> Self {
        Self {}
    }
}

#[async_trait]
impl Dial for TcpDialler {
    #[expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "this is the one place that opens connections; its callers have judged the address"
    )]
    async fn dial(&self, address: SocketAddr) -> io::Result<Dialled> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        // Head and body are written at once, so waiting for more could only delay the last packet.
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok(Dialled::new(stream, peer))
    }
}
