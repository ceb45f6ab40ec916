//! Runs the binary and looks at what a user sees of it.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_summit");

/// When a command is taken to hang; a busy machine is not.
const PATIENCE: Duration = Duration::from_secs(600);

/// A command under construction.
pub struct Summit(Command);

impl From<Summit> for Command {
    fn from(summit: Summit) -> Self {
        summit.0
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; none where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Highest resident memory, bytes, seen at most 5 ms before the end; 0 off Linux.
    pub peak_bytes: u64,
}

impl Summit {
    pub fn new(command: &str) -> Self {
        let mut summit = Command::new(BINARY);
        summit.arg(command).stdin(Stdio::null());
        Self(summit)
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    pub fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.0.envs(variables.iter().copied());
        self
    }

    /// The same arguments for another launcher.
    pub fn launched_by(self, mut launcher: Command) -> Self {
        launcher.args(self.0.get_args()).stdin(Stdio::null());
        Self(launcher)
    }

    /// The same command, started by a shell after `preparation`.
    pub fn after(self, preparation: &str) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")])
            .arg(BINARY);
        self.launched_by(shell)
    }

    /// Starts it without waiting; its output goes to `log` where there is one.
    pub fn start(mut self, log: Option<&Path>) -> Child {
        let output = || match log {
            Some(path) => Stdio::from(
                std::fs::File::options()
                    .append(true)
                    .create(true)
                    .open(path)
                    .unwrap(),
            ),
            None => Stdio::null(),
        };
        self.0.stdout(output()).stderr(output()).spawn().unwrap()
    }

    /// Runs it to its end. Whatever it does, it does not panic.
    pub fn finish(mut self) -> Outcome {
        let words = format!("{:?}", self.0);
        let mut child = self
            .0
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let begun = Instant::now();
        let mut peak_bytes = 0;
        let status = loop {
            peak_bytes = peak_bytes.max(peak_of(child.id()));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("no end in sight: {words}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        let outcome = Outcome {
            code: status.code(),
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
            peak_bytes,
        };
        assert!(
            !outcome.stderr.contains("panicked"),
            "{words}: {}",
            outcome.stderr
        );
        outcome
    }

    /// Runs it; it must end with `code` and, on standard error, with lines that hold all of `words`.
    pub fn expect(self, code: i32, words: &[&str]) -> Outcome {
        let command = format!("{:?}", self.0);
        let outcome = self.finish();
        let missing: Vec<_> = words
            .iter()
            .filter(|word| !outcome.stderr.contains(**word))
            .collect();
        assert!(
            outcome.code == Some(code) && missing.is_empty(),
            "{command}\ncode {:?} instead of {code}, missing {missing:?} in:\n{}{}",
            outcome.code,
            outcome.stderr,
            outcome.stdout
        );
        outcome
    }

    /// Runs it; it must fail with one sentence that holds all of `words`.
    pub fn fails(self, words: &[&str]) -> Outcome {
        let outcome = self.expect(2, words);
        let errors: Vec<_> = outcome
            .stderr
            .lines()
            .filter(|line| line.starts_with("summit: error: "))
            .collect();
        let last = outcome.stderr.lines().last();
        assert!(
            matches!(errors.as_slice(), [one] if Some(*one) == last && words.iter().all(|word| one.contains(word))),
            "{}",
            outcome.stderr
        );
        outcome
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}

/// The kernel's own high-water mark of a process, bytes.
fn peak_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

/// Sends a signal by name.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}
