//! Requests whose browser has gone are not worked on, and questions already worked on are given up.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use summit_site::assets::Assets;
use summit_site::schema::{WhatIfFile, WhatIfQuestion};
use summit_site::{BundleFile, BundleSource, ServeOptions, Server, SiteError, Wanted};
use tokio::runtime::Runtime;

const THREADS: usize = 2;

/// Makes nothing before it is let, and counts what it began.
#[derive(Default)]
struct Slow {
    begun: AtomicUsize,
    let_go: AtomicBool,
    given_up: AtomicUsize,
}

impl BundleSource for Slow {
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        wait_until(|| self.let_go.load(Ordering::SeqCst));
        Ok(file.to_string().into_bytes())
    }

    /// Works until nobody wants it or it is let go.
    fn what_if(&self, _: &WhatIfQuestion, wanted: Wanted<'_>) -> Result<WhatIfFile, SiteError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        wait_until(|| self.let_go.load(Ordering::SeqCst) || !wanted());
        if !wanted() {
            self.given_up.fetch_add(1, Ordering::SeqCst);
        }
        Ok(WhatIfFile::default())
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

fn serve(source: &Arc<Slow>) -> (Runtime, SocketAddr) {
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
    runtime.spawn(server.run(std::future::pending()));
    (runtime, address)
}

#[test]
fn of_twenty_quick_switches_the_last_is_made_and_not_the_others() {
    let source = Arc::new(Slow::default());
    let (runtime, address) = serve(&source);
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

#[test]
fn a_question_under_way_is_given_up_with_its_request() {
    let source = Arc::new(Slow::default());
    let (runtime, address) = serve(&source);
    let question = r#"{"class":1,"layer":0,"channel":0,"factor":0.0}"#;
    let asked = || {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST /bundle/whatif HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{question}",
            question.len()
        )
        .unwrap();
        stream
    };
    // More than may be worked on at once, so that those given up must have given their turns back.
    for round in 1..=2 * THREADS {
        let stream = asked();
        wait_until(|| source.begun.load(Ordering::SeqCst) == round);
        drop(stream);
        wait_until(|| source.given_up.load(Ordering::SeqCst) == round);
    }
    source.let_go.store(true, Ordering::SeqCst);
    let mut answer = String::new();
    asked().read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(
        source.given_up.load(Ordering::SeqCst),
        2 * THREADS,
        "not the last"
    );
    runtime.shutdown_background();
}
