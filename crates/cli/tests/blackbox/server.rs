//! Servers on this machine: a web server that fails on demand, and a bucket.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a server does with the first requests for a path that begins with something.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Answers with a status.
    Status(u16),
    /// Breaks off in the middle of the body.
    HalfBody,
    /// Says nothing and keeps the connection.
    Hang,
}

/// A fault: the start of the paths, what happens, and to how many requests for each.
pub type Rule = (&'static str, Fault, usize);

/// Serves the files of a folder; understands ranges. Ends with the process.
pub fn serve(folder: &Path, rules: &'static [Rule]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let folder = folder.to_path_buf();
    let seen = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, seen) = (folder.clone(), Arc::clone(&seen));
            thread::spawn(move || while answer(&stream, &folder, rules, &seen).is_some() {});
        }
    });
    address
}

/// One request; `None` ends the connection.
fn answer(
    mut stream: &TcpStream,
    folder: &Path,
    rules: &[Rule],
    seen: &Mutex<BTreeMap<String, usize>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut range = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(text) = header.strip_prefix("range: bytes=") {
            let (start, end) = text.split_once('-')?;
            range = Some((start.parse::<usize>().ok()?, end.parse::<usize>().ok()?));
        }
    }
    let path = target.split('?').next()?.trim_start_matches('/').to_owned();
    let count = {
        let mut seen = seen.lock().unwrap();
        let count = seen.entry(path.clone()).or_default();
        *count += 1;
        *count
    };
    let fault = rules
        .iter()
        .find(|(start, _, times)| path.starts_with(start) && count <= *times)
        .map(|(_, fault, _)| *fault);
    let name = rules
        .iter()
        .find_map(|(start, ..)| path.strip_prefix(start))
        .unwrap_or(&path);
    let status = |status: u16| format!("HTTP/1.1 {status} so\r\nContent-Length: 0\r\n\r\n");
    match fault {
        Some(Fault::Status(code)) => return stream.write_all(status(code).as_bytes()).ok(),
        Some(Fault::Hang) => {
            thread::sleep(Duration::from_secs(600));
            return None;
        }
        _ => {}
    }
    let Ok(bytes) = std::fs::read(folder.join(name)) else {
        return stream.write_all(status(404).as_bytes()).ok();
    };
    let (part, head) = match range {
        Some((start, end)) => {
            let end = (end + 1).min(bytes.len());
            let head = format!(
                "HTTP/1.1 206 so\r\nContent-Range: bytes {start}-{}/{}\r\n",
                end - 1,
                bytes.len()
            );
            (bytes.get(start..end)?.to_vec(), head)
        }
        None => (bytes, "HTTP/1.1 200 so\r\n".to_owned()),
    };
    let head = format!("{head}Content-Length: {}\r\n\r\n", part.len());
    stream.write_all(head.as_bytes()).ok()?;
    if method == "HEAD" {
        return Some(());
    }
    if matches!(fault, Some(Fault::HalfBody)) {
        stream.write_all(part.get(..part.len() / 2)?).ok()?;
        stream.shutdown(Shutdown::Both).ok()?;
        return None;
    }
    stream.write_all(&part).ok()
}

/// Whose bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon's; for reading Google's as well.
    S3,
    Azure,
}

/// A bucket `images` with the files of a folder.
pub struct Bucket {
    child: Child,
    address: String,
}

/// The Python that `./test` sets up, or the one named.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    std::env::var_os("SUMMIT_PYTHON").map_or(own, PathBuf::from)
}

impl Bucket {
    /// `None`, with a line saying so, where the server is not installed.
    pub fn start(cloud: Cloud, folder: &Path) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/bucket_server.py");
        let (kind, needs) = match cloud {
            Cloud::S3 => ("s3", "moto[server] (tools/requirements.txt)"),
            Cloud::Azure => ("az", "azurite (npm, in target/azurite)"),
        };
        let child = Command::new(python())
            .arg(script)
            .arg(kind)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut address = String::new();
        let started = child.ok().and_then(|mut child| {
            let mut stdout = BufReader::new(child.stdout.take()?);
            stdout.read_line(&mut address).ok()?;
            // What it prints later goes nowhere, but must be read.
            thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
            Some(child)
        });
        let address = address.trim().to_owned();
        match started {
            Some(child) if address.starts_with("http") => Some(Self { child, address }),
            _ => {
                println!("skipped: {needs} is not installed");
                None
            }
        }
    }

    /// What a program finds in its environment.
    pub fn environment(&self) -> [(&'static str, &str); 9] {
        [
            ("AWS_ENDPOINT_URL", &self.address),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("GOOGLE_BASE_URL", &self.address),
            ("GOOGLE_SKIP_SIGNATURE", "true"),
            ("AZURE_STORAGE_USE_EMULATOR", "true"),
            ("AZURITE_BLOB_STORAGE_URL", &self.address),
        ]
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // It ends with its input, and takes along what it started.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
