//! Requests whose browser has gone are not worked on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use summit_site::assets::Assets;
use summit_site::{BundleFile, BundleSource, ServeOptions, Server, SiteError};

const THREADS: usize = 2;

/// Makes nothing before it is let, and counts what it began.
#[derive(Default)]
struct Slow {
    begun: AtomicUsize,
    let_go: AtomicBool,
}

impl BundleSource for Slow {
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        wait_until(|| self.let_go.load(Ordering::SeqCst));
        Ok(file.to_string().into_bytes())
    }
}

fn wait_until(reached: impl Fn() -> bool) {
    while !reached() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ask(address: SocketAddr, class: u32) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET /bundle/graphs/{class}.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    Ok(stream)
}

#[test]
fn of_twenty_quick_switches_the_last_is_made_and_not_the_others() {
    let source = Arc::new(Slow::default());
    let options = ServeOptions {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        hosts: Vec::new(),
        assets: Assets::default(),
        threads: THREADS,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()
        .unwrap();
    let served: Arc<dyn BundleSource> = source.clone();
    let server = runtime.block_on(Server::bind(served, options)).unwrap();
    let address = server.address();
    let _running = runtime.spawn(server.run(std::future::pending()));

    // As a browser that gives a request up: the server has it, then the connection is closed.
    let given_up: Vec<TcpStream> = (0..19).map(|class| ask(address, class).unwrap()).collect();
    wait_until(|| source.begun.load(Ordering::SeqCst) == THREADS);
    drop(given_up);
    // Time for the server to see it, while nothing can be done.
    std::thread::sleep(Duration::from_secs(1));
    source.let_go.store(true, Ordering::SeqCst);
    let mut answer = String::new();
    let mut last = ask(address, 19).unwrap();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("graphs/19.json"), "{answer}");
    // Whatever had been left waiting would be begun by now.
    std::thread::sleep(Duration::from_secs(1));
    let begun = source.begun.load(Ordering::SeqCst);
    assert_eq!(begun, THREADS + 1, "those under way, and the last");
    runtime.shutdown_background();
}
