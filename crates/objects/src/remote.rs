//! Requests over the network, on a small runtime of their own.

use crate::location::is_remote;
use crate::{ObjectError, ObjectInfo, Patience};
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, GetResult, ObjectStore, ObjectStoreExt,
    ObjectStoreScheme, PutMode, RetryConfig,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use url::Url;

/// First and longest pause between attempts.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

type Store = Arc<dyn ObjectStore>;

/// Stores by server or bucket.
#[derive(Debug)]
pub(crate) struct Remote {
    runtime: Threads,
    patience: Patience,
    web: SharedClient,
    stores: Mutex<HashMap<String, Store>>,
}

/// The threads requests run on. They are left behind, not waited for: a server that ends drops them where
/// waiting is not allowed.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    fn get(&self) -> Result<&Runtime, ObjectError> {
        let ended = || ObjectError::from(std::io::Error::other("its threads have ended"));
        self.0.as_ref().ok_or_else(ended)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// One pool of connections for all web servers.
#[derive(Clone, Debug)]
struct SharedClient(HttpClient);

impl HttpConnector for SharedClient {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

impl Remote {
    pub(crate) fn new(patience: Patience) -> Result<Self, ObjectError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_timeout(patience.attempt)
            .with_connect_timeout(patience.attempt);
        let web = ReqwestConnector::default().connect(&options)?;
        Ok(Self {
            runtime: Threads(Some(runtime)),
            patience,
            web: SharedClient(web),
            stores: Mutex::default(),
        })
    }

    pub(crate) fn read(&self, location: &str, limit_bytes: u64) -> Result<Vec<u8>, ObjectError> {
        let (store, path) = self.find(location)?;
        self.patiently(async || body(store.get(&path).await?, limit_bytes).await)
    }

    pub(crate) fn read_part(
        &self,
        location: &str,
        start: u64,
        length: u64,
    ) -> Result<Vec<u8>, ObjectError> {
        let end = start.checked_add(length).ok_or(ObjectError::CutOff)?;
        if length == 0 {
            return Ok(Vec::new());
        }
        let (store, path) = self.find(location)?;
        self.patiently(async || {
            let options = object_store::GetOptions::new().with_range(Some(start..end));
            let bytes = body(store.get_opts(&path, options).await?, length).await?;
            if bytes.len() as u64 == length {
                Ok(bytes)
            } else {
                Err(ObjectError::CutOff)
            }
        })
    }

    pub(crate) fn size(&self, location: &str) -> Result<u64, ObjectError> {
        let (store, path) = self.find(location)?;
        self.patiently(async || Ok(store.head(&path).await?.size))
    }

    pub(crate) fn put(
        &self,
        location: &str,
        bytes: Vec<u8>,
        only_if_absent: bool,
    ) -> Result<bool, ObjectError> {
        let (store, path) = self.find(location)?;
        let payload = object_store::PutPayload::from(bytes);
        self.patiently(async || {
            let mode = if only_if_absent {
                PutMode::Create
            } else {
                PutMode::Overwrite
            };
            match store.put_opts(&path, payload.clone(), mode.into()).await {
                Ok(_) => Ok(true),
                Err(
                    object_store::Error::AlreadyExists { .. }
                    | object_store::Error::Precondition { .. },
                ) if only_if_absent => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
    }

    pub(crate) fn list(&self, folder: &str, most: u64) -> Result<Vec<ObjectInfo>, ObjectError> {
        let root = parse(folder)?;
        if root.scheme().starts_with("http") {
            return Err(ObjectError::NoListing);
        }
        let (store, prefix) = self.find(folder)?;
        // A listing is many requests; each is bounded by the client itself.
        self.runtime.get()?.block_on(async {
            let mut found = Vec::new();
            let mut listing = store.list(Some(&prefix));
            while let Some(object) = listing.try_next().await? {
                if found.len() as u64 >= most {
                    return Err(ObjectError::TooMany { limit: most });
                }
                let mut url = root.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.clear().extend(object.location.parts());
                }
                found.push(ObjectInfo {
                    location: url.to_string(),
                    bytes: object.size,
                });
            }
            found.sort_unstable_by(|a, b| a.location.cmp(&b.location));
            Ok(found)
        })
    }

    /// Tries again what may pass. The client does so for answers; this is for bodies that break off, and it
    /// bounds everything together.
    fn patiently<T>(
        &self,
        attempt: impl AsyncFn() -> Result<T, ObjectError>,
    ) -> Result<T, ObjectError> {
        let [mut pause, longest] = PAUSES;
        let tries = async {
            let mut left = self.patience.retries;
            loop {
                match attempt().await {
                    Err(error) if error.may_pass() && left > 0 => {
                        left -= 1;
                        tokio::time::sleep(pause).await;
                        pause = (2 * pause).min(longest);
                    }
                    outcome => return outcome,
                }
            }
        };
        let limit = self.longest();
        self.runtime.get()?.block_on(async {
            let outcome = tokio::time::timeout(limit, tries).await;
            outcome.unwrap_or(Err(ObjectError::TimedOut))
        })
    }

    /// All attempts and the pauses between them.
    fn longest(&self) -> Duration {
        let [first, longest] = PAUSES;
        let pauses = (0..self.patience.retries)
            .map(|attempt| first.saturating_mul(1 << attempt.min(10)).min(longest));
        self.patience.attempt * (self.patience.retries + 1) + pauses.sum::<Duration>()
    }

    fn retry(&self) -> RetryConfig {
        let [init_backoff, max_backoff] = PAUSES;
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff,
                max_backoff,
                base: 2.0,
            },
            max_retries: self.patience.retries as usize,
            retry_timeout: self.longest(),
        }
    }

    /// The store of a location, and the path in it.
    fn find(&self, location: &str) -> Result<(Store, Path), ObjectError> {
        let url = parse(location)?;
        let (scheme, path) = ObjectStoreScheme::parse(&url).map_err(|_| ObjectError::Address)?;
        let web = matches!(url.scheme(), "http" | "https");
        // A query belongs to one file, usually as its signature; such a store is not kept.
        if web && url.query().is_some() {
            return Ok((self.web_store(&url)?, Path::default()));
        }
        let mut origin = url.clone();
        origin.set_path("");
        let key = origin.to_string();
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(&key) {
            let path = if web { from_url(&url)? } else { path };
            return Ok((Arc::clone(store), path));
        }
        let store = if web {
            self.web_store(&origin)?
        } else {
            self.bucket(scheme, &url)?
        };
        stores.insert(key, Arc::clone(&store));
        let path = if web { from_url(&url)? } else { path };
        Ok((store, path))
    }

    fn web_store(&self, url: &Url) -> Result<Store, ObjectError> {
        let store = HttpBuilder::new()
            .with_url(url.as_str())
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(self.retry())
            .with_http_connector(self.web.clone())
            .build()?;
        Ok(Arc::new(store))
    }

    fn bucket(&self, scheme: ObjectStoreScheme, url: &Url) -> Result<Store, ObjectError> {
        let seconds = format!("{} ms", self.patience.attempt.as_millis());
        let keys = [ClientConfigKey::Timeout, ClientConfigKey::ConnectTimeout];
        Ok(match scheme {
            ObjectStoreScheme::AmazonS3 => {
                let mut builder = AmazonS3Builder::from_env().with_url(url.as_str());
                for key in keys {
                    builder = builder.with_config(AmazonS3ConfigKey::Client(key), &seconds);
                }
                Arc::new(builder.with_retry(self.retry()).build()?)
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
                for key in keys {
                    builder = builder.with_config(GoogleConfigKey::Client(key), &seconds);
                }
                Arc::new(builder.with_retry(self.retry()).build()?)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let mut builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str());
                for key in keys {
                    builder = builder.with_config(AzureConfigKey::Client(key), &seconds);
                }
                Arc::new(builder.with_retry(self.retry()).build()?)
            }
            _ => return Err(ObjectError::Address),
        })
    }
}

fn parse(location: &str) -> Result<Url, ObjectError> {
    if !is_remote(location) {
        return Err(ObjectError::Address);
    }
    Url::parse(location).map_err(|_| ObjectError::Address)
}

fn from_url(url: &Url) -> Result<Path, ObjectError> {
    Path::from_url_path(url.path()).map_err(|_| ObjectError::Address)
}

/// The body of an answer, of at most `limit_bytes`.
async fn body(answer: GetResult, limit_bytes: u64) -> Result<Vec<u8>, ObjectError> {
    let too_large = || ObjectError::TooLarge { limit_bytes };
    let expected = answer.range.end - answer.range.start;
    if expected > limit_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut stream = answer.into_stream();
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part?);
        if bytes.len() as u64 > limit_bytes {
            return Err(too_large());
        }
    }
    if (bytes.len() as u64) < expected {
        return Err(ObjectError::CutOff);
    }
    Ok(bytes)
}
