//! A condition over the predictions table: `label = 'church' and probability < 0.5`.
//!
//! Place in the flow: the text comes from a command line or an address, [`Filter::parse`] checks it
//! against the fixed columns, [`Filter::admits`] decides image by image. No file, no function call,
//! no loop: evaluation is `O(length of the text)` per image (times the path's length for `like`).
//!
//! ```text
//! condition  = and { "or" and }            and = not { "and" not }
//! not        = "not" not | "(" condition ")" | test
//! test       = column | operand compare operand
//!            | operand ["not"] "in" "(" constant { "," constant } ")"
//!            | operand ["not"] "between" operand "and" operand
//!            | path ["not"] "like" 'pattern' | column "is" ["not"] "null"
//! compare    = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
//! ```
//!
//! Strings stand in single quotes, doubled inside. Words and keywords ignore case. A comparison with
//! a missing value is unknown, as in SQL: it holds neither plain nor under `not`.

mod lex;
mod parse;

use summit_tables::{ClassId, ImageId, ImageRecord};
use thiserror::Error;

/// Longest text of a filter, bytes.
pub const MAX_TEXT: usize = 4096;

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the filter is not understood at character {position}: {reason}")]
pub struct FilterError {
    /// Characters before the trouble.
    pub position: usize,
    /// One clause.
    pub reason: String,
}

/// A checked condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    text: String,
    condition: Condition,
}

/// Columns of the predictions table that a filter may name, with what they are.
pub const COLUMNS: [(&str, &str); 13] = [
    ("image", "number of the image"),
    ("path", "path relative to the image root, text"),
    (
        "label",
        "true class: number, id or name; missing where unlabelled",
    ),
    ("prediction", "most probable class: number, id or name"),
    ("runner_up", "class of the highest other logit"),
    ("probability", "probability of the prediction, 0 to 1"),
    (
        "label_probability",
        "probability of the label; missing where unlabelled",
    ),
    (
        "margin",
        "logit of the label (else the prediction) minus the highest other",
    ),
    (
        "correct",
        "the prediction is the label; missing where unlabelled",
    ),
    (
        "top5",
        "the label is among the 5 most probable; missing where unlabelled",
    ),
    (
        "rank",
        "place of the label among the 5 most probable, from 1; missing beyond",
    ),
    ("width", "pixels of the original"),
    ("height", "pixels of the original"),
];

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Image,
    Path,
    Label,
    Prediction,
    RunnerUp,
    Probability,
    LabelProbability,
    Margin,
    Correct,
    Top5,
    Rank,
    Width,
    Height,
}

impl Column {
    fn named(name: &str) -> Option<Self> {
        const ALL: [Column; COLUMNS.len()] = [
            Column::Image,
            Column::Path,
            Column::Label,
            Column::Prediction,
            Column::RunnerUp,
            Column::Probability,
            Column::LabelProbability,
            Column::Margin,
            Column::Correct,
            Column::Top5,
            Column::Rank,
            Column::Width,
            Column::Height,
        ];
        let position = COLUMNS.iter().position(|(known, _)| *known == name)?;
        ALL.get(position).copied()
    }

    fn kind(self) -> Kind {
        match self {
            Self::Path => Kind::Text,
            Self::Label | Self::Prediction | Self::RunnerUp => Kind::Class,
            Self::Correct | Self::Top5 => Kind::Truth,
            _ => Kind::Number,
        }
    }

    /// The value of a column that is no text; truths are 0 and 1.
    fn number(self, record: &ImageRecord) -> Option<f64> {
        let class = |class: Option<&ClassId>| class.map(|class| f64::from(class.0));
        let truth = |value: bool| f64::from(u8::from(value));
        let place = |label| record.top_classes.iter().position(|class| *class == label);
        match self {
            Self::Image => Some(f64::from(record.image.0)),
            Self::Path => None,
            Self::Label => class(record.label.as_ref()),
            Self::Prediction => class(record.top_classes.first()),
            Self::RunnerUp => class(Some(&record.runner_up)),
            Self::Probability => record.top_probabilities.first().map(|&p| f64::from(p)),
            Self::LabelProbability => record.label.map(|_| f64::from(record.label_probability)),
            Self::Margin => Some(f64::from(record.margin)),
            Self::Correct => record.label.map(|label| truth(place(label) == Some(0))),
            Self::Top5 => record.label.map(|label| truth(place(label).is_some())),
            Self::Rank => record.label.and_then(place).map(|place| place as f64 + 1.0),
            Self::Width => Some(f64::from(record.width)),
            Self::Height => Some(f64::from(record.height)),
        }
    }
}

/// What values can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Class,
    Truth,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Column(Column),
    /// A number, a class's number, or a truth.
    Number(f64),
    Text(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparison, Operand),
    Like(Column, Vec<char>),
    IsNull(Column),
}

impl Filter {
    /// Checks a text.
    ///
    /// `class` finds a class by what a user calls it (see [`crate::find_class`]); the error is one
    /// clause.
    ///
    /// # Errors
    /// Where the text does not follow the grammar, names no column or class, or compares what cannot
    /// be compared.
    pub fn parse(
        text: &str,
        class: &dyn Fn(&str) -> Result<ClassId, String>,
    ) -> Result<Self, FilterError> {
        let condition = parse::condition(text, class)?;
        Ok(Self {
            text: text.trim().to_owned(),
            condition,
        })
    }

    /// The text it was made from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the condition holds for an image; unknown is no.
    #[must_use]
    pub fn admits(&self, record: &ImageRecord) -> bool {
        self.condition.holds(record) == Some(true)
    }

    /// The images of a list for which it holds, ascending where the list is.
    #[must_use]
    pub fn images(&self, records: &[ImageRecord]) -> Vec<ImageId> {
        let admitted = records.iter().filter(|record| self.admits(record));
        admitted.map(|record| record.image).collect()
    }
}

impl Condition {
    /// `None` where a missing value leaves it open (three-valued logic, as in SQL).
    fn holds(&self, record: &ImageRecord) -> Option<bool> {
        match self {
            Self::And(parts) => parts.iter().try_fold_truth(record, false),
            Self::Or(parts) => parts.iter().try_fold_truth(record, true),
            Self::Not(inner) => inner.holds(record).map(|truth| !truth),
            Self::Compare(left, comparison, right) => comparison.holds(left, right, record),
            Self::Like(_, pattern) => Some(is_like(&record.path, pattern)),
            Self::IsNull(Column::Path) => Some(false),
            Self::IsNull(column) => Some(column.number(record).is_none()),
        }
    }
}

/// `and` and `or` over parts, one being the other with truths exchanged.
trait FoldTruth {
    /// The value is `decisive` as soon as one part is; unknown where none is and one is unknown.
    fn try_fold_truth(self, record: &ImageRecord, decisive: bool) -> Option<bool>;
}

impl<'a, I: Iterator<Item = &'a Condition>> FoldTruth for I {
    fn try_fold_truth(self, record: &ImageRecord, decisive: bool) -> Option<bool> {
        let mut result = Some(!decisive);
        for part in self {
            match part.holds(record) {
                Some(truth) if truth == decisive => return Some(decisive),
                Some(_) => {}
                None => result = None,
            }
        }
        result
    }
}

impl Comparison {
    fn holds(self, left: &Operand, right: &Operand, record: &ImageRecord) -> Option<bool> {
        if let (Some(left), Some(right)) = (left.text(record), right.text(record)) {
            return Some(self.of(left.cmp(right)));
        }
        let (left, right) = (left.number(record)?, right.number(record)?);
        left.partial_cmp(&right).map(|order| self.of(order))
    }

    fn of(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

impl Operand {
    fn text<'a>(&'a self, record: &'a ImageRecord) -> Option<&'a str> {
        match self {
            Self::Column(Column::Path) => Some(&record.path),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self, record: &ImageRecord) -> Option<f64> {
        match self {
            Self::Column(column) => column.number(record),
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

/// SQL's `like`: `%` is any run of characters, `_` one character; case matters.
/// Greedy with one resumption point: `O(text x pattern)`, no recursion.
fn is_like(text: &str, pattern: &[char]) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut in_pattern) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('%') => {
                resume = Some((at, in_pattern + 1));
                in_pattern += 1;
            }
            Some(&wanted) if wanted == '_' || text.get(at) == Some(&wanted) => {
                at += 1;
                in_pattern += 1;
            }
            _ => match resume.as_mut() {
                Some((start, after)) => {
                    *start += 1;
                    (at, in_pattern) = (*start, *after);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(in_pattern).all(|&rest| rest == '%')
}

#[cfg(test)]
pub(crate) mod tests;
