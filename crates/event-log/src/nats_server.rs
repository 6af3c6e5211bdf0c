//! A real nats-server for tests: its own folder, a free port of the loopback, every write synced; can be killed and
//! started again.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A server that ends with this value.
#[derive(Debug)]
pub struct NatsServer {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a server that keeps its streams in the folder.
    pub fn start(folder: &Path) -> io::Result<Self> {
        Self::start_on(folder, free_port()?, "")
    }

    /// Starts a server with more configuration, for example who may do what.
    pub fn start_with(folder: &Path, more: &str) -> io::Result<Self> {
        Self::start_on(folder, free_port()?, more)
    }

    /// Starts a server on the folder of one that does not run, where nobody who knows that one will find it.
    pub fn start_beside(other: &Self) -> io::Result<Self> {
        Self::start_on(&other.folder, free_port()?, "")
    }

    /// Starts three servers that are one cluster.
    pub fn start_cluster(folder: &Path) -> io::Result<[Self; 3]> {
        let [a, b, c] = [free_port()?, free_port()?, free_port()?];
        let routes = [free_port()?, free_port()?, free_port()?];
        let urls = routes.map(|port| format!("nats://127.0.0.1:{port}")).join(", ");
        let member = |port: u16, route: u16| {
            let cluster =
                format!("cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: [{urls}] }}\n");
            Self::start_on(&folder.join(port.to_string()), port, &cluster)
        };
        Ok([member(a, routes[0])?, member(b, routes[1])?, member(c, routes[2])?])
    }

    fn start_on(folder: &Path, port: u16, more: &str) -> io::Result<Self> {
        let folder = folder.to_owned();
        std::fs::create_dir_all(&folder)?;
        let store = folder.join("jetstream");
        let configuration = format!(
            "server_name: \"test-{port}\"\nlisten: \"127.0.0.1:{port}\"\n\
             jetstream {{ store_dir: \"{}\", sync_interval: always }}\n{more}",
            store.display()
        );
        std::fs::write(folder.join(format!("nats-{port}.conf")), configuration)?;
        let mut server = Self { binary: binary()?, folder, port, process: None };
        server.restart()?;
        Ok(server)
    }

    /// Where to connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The number of its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Ends the server without a warning, as a crash would.
    pub fn kill9(&mut self) -> io::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Asks the server to end, and waits until it has.
    pub fn stop(&mut self) -> io::Result<()> {
        if let Some(mut process) = self.process.take() {
            let signal = format!("term={}", process.id());
            Command::new(&self.binary).args(["--signal", &signal]).status()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Starts the server again, with the folder and the port it had; ends it first if it runs.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill9()?;
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("server.log"))?;
        let mut command = Command::new(&self.binary);
        command
            .arg("-c")
            .arg(self.folder.join(format!("nats-{}.conf", self.port)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let process = self.process.insert(command.spawn()?);
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if process.try_wait()?.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
                return Err(io::Error::other(format!("nats-server does not start:\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.kill9();
    }
}

fn binary() -> io::Result<PathBuf> {
    let tools = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/nats-server");
    let path = std::env::var_os("NIGHTSHIFT_NATS_SERVER").map_or_else(tools, PathBuf::from);
    if path.is_file() {
        return Ok(path);
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} is missing: run cargo xtask test", path.display()),
    ))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
