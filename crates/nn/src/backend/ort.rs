//! ONNX Runtime as the runner of a network, its library found when the program runs.
//!
//! Values inside the network are made outputs of it: protobuf lets a message be extended by
//! appending bytes, so the file itself is passed on as it is.

use super::{Backend, Observe, Runner};
use crate::exec::layout::Map;
use crate::exec::{ImageView, RunError, TensorView, to_image};
use crate::graph::{Graph, ValueId};
use ort::environment::Environment;
use ort::ep;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::TensorRef;
use prost::Message;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where ONNX Runtime runs a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor, one thread a runner.
    #[default]
    Cpu,
    /// An NVIDIA card through CUDA.
    Cuda,
    /// An NVIDIA card through TensorRT.
    TensorRt,
    /// A card through DirectML (Windows).
    DirectMl,
    /// Apple's accelerators.
    CoreMl,
}

impl std::str::FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            "tensorrt" => Ok(Self::TensorRt),
            "directml" => Ok(Self::DirectMl),
            "coreml" => Ok(Self::CoreMl),
            _ => Err("devices are cpu, cuda, tensorrt, directml and coreml".to_owned()),
        }
    }
}

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OrtError {
    /// There is no library.
    #[error(
        "the ONNX Runtime library is not found: set ORT_DYLIB_PATH to it, or install the Python package onnxruntime"
    )]
    NotFound,
    /// The library cannot be loaded.
    #[error("the ONNX Runtime library cannot be loaded: {1}: {0}")]
    Library(PathBuf, String),
    /// It refuses the network or the device.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// A value that is to be observed has no name in the file.
    #[error("ONNX Runtime cannot observe \"{0}\": it is no tensor of the file")]
    Unnamed(String),
}

impl From<ort::Error> for OrtError {
    fn from(error: ort::Error) -> Self {
        Self::Runtime(one_line(&error.to_string()))
    }
}

impl From<ort::Error<SessionBuilder>> for OrtError {
    fn from(error: ort::Error<SessionBuilder>) -> Self {
        Self::Runtime(one_line(&error.to_string()))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A model file as ONNX Runtime is to run it.
#[derive(Clone, Debug)]
pub struct OrtModel<'a> {
    /// The ONNX file.
    pub bytes: &'a [u8],
    /// The folder of its external data.
    pub folder: Option<&'a Path>,
    /// The graph read from it, whose values are observed.
    pub graph: &'a Graph,
    /// Values to observe, beside the graph's output.
    pub observed: &'a [ValueId],
    /// Where it runs.
    pub device: Device,
    /// Threads of one runner (processor only).
    pub threads: usize,
}

/// A network run by ONNX Runtime.
#[derive(Debug)]
pub struct OrtBackend {
    bytes: Vec<u8>,
    folder: Option<PathBuf>,
    input_shape: Vec<i64>,
    /// The values asked for, in the order their names were appended; the graph's output last.
    taps: Vec<Tap>,
    device: Device,
    threads: usize,
    environment: Environment,
    /// The first session, made to find errors early.
    ready: Mutex<Option<Session>>,
}

#[derive(Clone, Debug)]
struct Tap {
    value: ValueId,
    name: String,
    shape: Vec<usize>,
}

/// The part of `onnx.ModelProto` that is appended.
#[derive(Clone, PartialEq, Message)]
struct Appendix {
    #[prost(message, optional, tag = "7")]
    graph: Option<AppendedGraph>,
}

#[derive(Clone, PartialEq, Message)]
struct AppendedGraph {
    #[prost(message, repeated, tag = "12")]
    output: Vec<AppendedOutput>,
}

#[derive(Clone, PartialEq, Message)]
struct AppendedOutput {
    #[prost(string, tag = "1")]
    name: String,
}

impl OrtBackend {
    /// Loads the library (once a process) and the network.
    ///
    /// # Errors
    /// When there is no library, or it refuses the network, the device or an observed value.
    pub fn new(model: &OrtModel<'_>) -> Result<Self, OrtError> {
        let graph = model.graph;
        let mut taps: Vec<Tap> = Vec::new();
        for &value in model.observed.iter().chain([&graph.output]) {
            let entry = &graph.values[value.index()];
            if taps.iter().all(|tap| tap.value != value) {
                taps.push(Tap {
                    value,
                    name: entry.name.clone(),
                    shape: entry.shape.clone(),
                });
            }
        }
        let environment = environment()?;
        // Names the file already lists as outputs must not be listed again.
        let listed = output_names(model.bytes);
        let output = taps
            .iter()
            .filter(|tap| tap.value != graph.input && !listed.contains(&tap.name))
            .map(|tap| AppendedOutput {
                name: tap.name.clone(),
            })
            .collect();
        let mut bytes = model.bytes.to_vec();
        let appendix = Appendix {
            graph: Some(AppendedGraph { output }),
        };
        bytes.extend(appendix.encode_to_vec());
        let input = &graph.values[graph.input.index()];
        let backend = Self {
            bytes,
            folder: model.folder.map(Path::to_owned),
            input_shape: input.shape.iter().map(|&extent| extent as i64).collect(),
            taps,
            device: model.device,
            threads: model.threads,
            environment,
            ready: Mutex::new(None),
        };
        let session = backend.session()?;
        for tap in &backend.taps {
            let known = tap.value == graph.input
                || session
                    .outputs()
                    .iter()
                    .any(|output| output.name() == tap.name);
            if !known {
                return Err(OrtError::Unnamed(tap.name.clone()));
            }
        }
        *backend.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(backend)
    }

    fn session(&self) -> Result<Session, OrtError> {
        let mut builder = Session::builder(&self.environment)?
            .with_intra_threads(self.threads.max(1))?
            .with_inter_threads(1)?;
        if let Some(folder) = self.folder.as_ref().and_then(|folder| folder.to_str()) {
            builder = builder.with_config_entry(
                "session.model_external_initializers_file_folder_path",
                folder,
            )?;
        }
        let provider = match self.device {
            Device::Cpu => None,
            Device::Cuda => Some(ep::CUDA::default().build()),
            Device::TensorRt => Some(ep::TensorRT::default().build()),
            Device::DirectMl => Some(ep::DirectML::default().build()),
            Device::CoreMl => Some(ep::CoreML::default().build()),
        };
        if let Some(provider) = provider {
            builder = builder.with_execution_providers([provider.error_on_failure()])?;
        }
        Ok(builder.commit_from_memory(&self.bytes)?)
    }
}

/// Names of the outputs a file lists.
fn output_names(bytes: &[u8]) -> Vec<String> {
    let model = Appendix::decode(bytes).unwrap_or_default();
    let graph = model.graph.unwrap_or_default();
    graph.output.into_iter().map(|output| output.name).collect()
}

impl Backend for OrtBackend {
    fn runner(&self) -> Result<Box<dyn Runner>, RunError> {
        let ready = self
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let session = match ready {
            Some(session) => session,
            None => self.session().map_err(failed)?,
        };
        Ok(Box::new(OrtRunner {
            session,
            input_shape: self.input_shape.clone(),
            taps: self.taps.clone(),
            image: Vec::new(),
        }))
    }
}

fn failed(error: impl std::fmt::Display) -> RunError {
    RunError::Backend(one_line(&error.to_string()))
}

#[derive(Debug)]
struct OrtRunner {
    session: Session,
    input_shape: Vec<i64>,
    taps: Vec<Tap>,
    /// An observed value, channels-last.
    image: Vec<f32>,
}

impl Runner for OrtRunner {
    fn run(&mut self, input: &[f32], observe: &mut Observe<'_>) -> Result<Vec<f32>, RunError> {
        let expected = self.input_shape.iter().product::<i64>() as usize;
        if input.len() != expected {
            return Err(RunError::Input {
                expected,
                found: input.len(),
            });
        }
        let tensor =
            TensorRef::from_array_view((self.input_shape.clone(), input)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(failed)?;
        let mut logits = Vec::new();
        for tap in &self.taps {
            let data = match outputs.get(&tap.name) {
                Some(output) => output.try_extract_tensor::<f32>().map_err(failed)?.1,
                None => input,
            };
            let elements: usize = tap.shape.iter().product();
            if data.len() != elements {
                return Err(failed(format!(
                    "\"{}\" has {} elements where {elements} were expected",
                    tap.name,
                    data.len()
                )));
            }
            match <[usize; 4]>::try_from(tap.shape.as_slice()) {
                Ok(shape) => {
                    let map = Map::contiguous(shape);
                    self.image.resize(elements, 0.0);
                    to_image(data, false, &mut self.image, map);
                    let view = ImageView {
                        data: &self.image,
                        map,
                    };
                    observe(tap.value, TensorView::Image(view));
                }
                Err(_) => observe(tap.value, TensorView::Flat(data)),
            }
            logits = data.to_vec();
        }
        if logits.iter().any(|value| !value.is_finite()) {
            return Err(RunError::NotFinite);
        }
        Ok(logits)
    }
}

/// The process's ONNX Runtime, loaded at the first call.
fn environment() -> Result<Environment, OrtError> {
    static LOADED: Mutex<Option<Arc<Environment>>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*loaded {
        return Ok(Environment::clone(environment));
    }
    let path = library().ok_or(OrtError::NotFound)?;
    let builder = ort::init_from(&path)
        .map_err(|error| OrtError::Library(path.clone(), one_line(&error.to_string())))?;
    let environment = builder.with_telemetry(false).build()?;
    *loaded = Some(Arc::new(environment.clone()));
    Ok(environment)
}

/// `ORT_DYLIB_PATH`, or the library inside an installed Python package.
fn library() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let find = "import importlib.util as u; print(u.find_spec('onnxruntime').submodule_search_locations[0])";
    ["python3", "python"].into_iter().find_map(|python| {
        let output = std::process::Command::new(python)
            .args(["-c", find])
            .output()
            .ok()?;
        let folder = String::from_utf8(output.stdout).ok()?;
        let folder = Path::new(folder.trim()).join("capi");
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("libonnxruntime.") || name == "onnxruntime.dll"
            })
            .collect();
        files.sort();
        files.into_iter().next()
    })
}
