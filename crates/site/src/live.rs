//! A run that is shown while it is made, and from its end on like any other.
//!
//! Place in the flow: whoever makes the run tells a [`Live`] how far it is; the server hands that out as
//! `live.json` and as events, and answers for everything else that the run is not finished. With the
//! finished run's source, the same server serves it.
//!
//! Telling costs a lock and a few additions: what browsers get is made when one of them takes it, from the state
//! as it is then. A slow browser misses states, never the last one.

use crate::network::Wanted;
use crate::schema::{
    Annotation, BUNDLE_SCHEMA_VERSION, LiveFile, LivePhase, PhotoFile, WhatIfFile, WhatIfQuestion,
};
use crate::{BundleFile, BundleSource, SiteError};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use summit_explain::class_name;
use summit_explain::slice::explained_class;
use summit_tables::{ChannelId, ClassEntry, ClassId, ImageRecord, LayerId};
use tokio::sync::watch;

/// The run, shared by whoever makes it and the server.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    finished: OnceLock<Arc<dyn BundleSource>>,
}

struct State {
    file: LiveFile,
    /// Place of a class in the columns.
    places: HashMap<ClassId, usize>,
    /// When the network began to look at images.
    begun: Option<Instant>,
}

impl Default for Live {
    fn default() -> Self {
        let file = LiveFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            ..LiveFile::default()
        };
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                file,
                places: HashMap::new(),
                begun: None,
            }),
            changed: watch::Sender::new(()),
            finished: OnceLock::new(),
        }))
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Live").field(&self.phase()).finish()
    }
}

impl Live {
    /// Changes what is shown and tells the browsers. The time is kept here.
    pub fn update(&self, change: impl FnOnce(&mut LiveFile)) {
        let mut state = self.state();
        change(&mut state.file);
        if state.file.phase == LivePhase::Images {
            let begun = *state.begun.get_or_insert_with(Instant::now);
            state.file.seconds = begun.elapsed().as_secs_f64();
        }
        drop(state);
        self.0.changed.send_replace(());
    }

    /// What is being done.
    #[must_use]
    pub fn phase(&self) -> LivePhase {
        self.state().file.phase
    }

    /// Counts images that were stored, for their classes. Browsers see them at the next [`Self::update`].
    pub fn count(&self, classes: &[ClassEntry], images: &[ImageRecord]) {
        let mut state = self.state();
        for image in images {
            state.count(classes, image);
        }
    }

    /// The run is finished; from here on `source` is served.
    pub fn complete(&self, source: Arc<dyn BundleSource>) {
        // A second end changes nothing.
        let _ = self.0.finished.set(source);
        self.update(|file| file.phase = LivePhase::Complete);
    }

    /// What is shown now, as JSON, and whether it is the last of its kind.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn now(&self) -> Result<(String, bool), SiteError> {
        let state = self.state();
        let last = matches!(state.file.phase, LivePhase::Complete | LivePhase::Stopped);
        Ok((serde_json::to_string(&state.file)?, last))
    }

    /// Woken by every change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finished(&self) -> Result<&dyn BundleSource, SiteError> {
        let finished = self.0.finished.get();
        finished.map(Arc::as_ref).ok_or(SiteError::Unfinished)
    }
}

impl State {
    fn count(&mut self, classes: &[ClassEntry], image: &ImageRecord) {
        let Some(class) = explained_class(image) else {
            return;
        };
        let file = &mut self.file;
        let place = *self.places.entry(class).or_insert_with(|| {
            file.class.push(class.0);
            file.name.push(class_name(classes, class));
            for column in [&mut file.images, &mut file.labelled, &mut file.correct] {
                column.push(0);
            }
            file.class.len() - 1
        });
        let labelled = image.label.is_some();
        for (column, counts) in [
            (&mut file.images, true),
            (&mut file.labelled, labelled),
            (
                &mut file.correct,
                labelled && image.prediction() == image.label,
            ),
        ] {
            if let Some(count) = column.get_mut(place) {
                *count += u32::from(counts);
            }
        }
    }
}

impl BundleSource for Live {
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError> {
        match file {
            BundleFile::Live => Ok(self.now()?.0.into_bytes()),
            other => self.finished()?.file(other),
        }
    }

    fn live(&self) -> Option<&Live> {
        Some(self)
    }

    fn draw(&self, layer: LayerId, channel: ChannelId) -> Result<(), SiteError> {
        self.finished()?.draw(layer, channel)
    }

    fn annotate(&self, annotation: Annotation) -> Result<(), SiteError> {
        self.finished()?.annotate(annotation)
    }

    fn look(&self, photo: &[u8]) -> Result<PhotoFile, SiteError> {
        self.finished()?.look(photo)
    }

    fn what_if(
        &self,
        question: &WhatIfQuestion,
        wanted: Wanted<'_>,
    ) -> Result<WhatIfFile, SiteError> {
        self.finished()?.what_if(question, wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use summit_tables::ImageId;

    fn image(label: Option<u32>, prediction: u32) -> ImageRecord {
        ImageRecord {
            image: ImageId(0),
            path: String::new(),
            label: label.map(ClassId),
            top_classes: vec![ClassId(prediction)],
            top_probabilities: vec![1.0],
            label_probability: 0.0,
            margin: 0.0,
            runner_up: ClassId(0),
            width: 1,
            height: 1,
        }
    }

    #[test]
    fn classes_stand_in_the_order_of_their_first_images() {
        let live = Live::default();
        live.count(&[], &[image(Some(7), 7), image(Some(2), 7)]);
        live.count(&[], &[image(None, 2), image(Some(7), 1), image(None, 5)]);
        let file = live.state().file.clone();
        assert_eq!(file.class, [7, 2, 5]);
        assert_eq!(file.name.len(), 3);
        assert_eq!(file.images, [2, 2, 1]);
        assert_eq!(file.labelled, [2, 1, 0]);
        assert_eq!(file.correct, [1, 0, 0]);
    }

    #[test]
    fn nothing_is_served_before_the_end() {
        struct Finished;
        impl BundleSource for Finished {
            fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError> {
                Ok(file.to_string().into_bytes())
            }
        }
        let live = Live::default();
        let mut changes = live.changes();
        let early = live.file(BundleFile::Manifest);
        assert!(matches!(early, Err(SiteError::Unfinished)));
        assert!(!live.now().unwrap().1);
        live.complete(Arc::new(Finished));
        assert_eq!(live.file(BundleFile::Manifest).unwrap(), b"manifest.json");
        assert!(live.now().unwrap().1);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        let text = String::from_utf8(live.file(BundleFile::Live).unwrap()).unwrap();
        assert!(text.contains("\"phase\":\"complete\""), "{text}");
    }
}
