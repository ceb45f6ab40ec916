//! From tokens to a checked condition; recursive descent with bounded depth.

use super::lex::{Token, error, tokens};
use super::{COLUMNS, Column, Comparison, Condition, FilterError, Kind, Operand};
use summit_tables::ClassId;

/// Nesting accepted; the parser recurses.
const MAX_DEPTH: usize = 64;

type Resolve<'a> = &'a dyn Fn(&str) -> Result<ClassId, String>;

pub(super) fn condition(text: &str, class: Resolve<'_>) -> Result<Condition, FilterError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        class,
    };
    let condition = parser.either()?;
    match parser.peek() {
        Token::End => Ok(condition),
        _ => Err(parser.trouble("\"and\", \"or\" or the end is expected")),
    }
}

struct Parser<'a> {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    class: Resolve<'a>,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |(_, token)| token)
    }

    fn position(&self) -> usize {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens
            .get(self.at.min(last))
            .map_or(0, |(position, _)| *position)
    }

    fn trouble(&self, reason: &str) -> FilterError {
        error(self.position(), reason.to_owned())
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if found == word);
        self.at += usize::from(found);
        found
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn needs(&mut self, found: bool, what: &str) -> Result<(), FilterError> {
        if found {
            Ok(())
        } else {
            Err(self.trouble(&format!("{what} is expected")))
        }
    }

    fn either(&mut self) -> Result<Condition, FilterError> {
        let mut parts = vec![self.both()?];
        while self.takes_word("or") {
            parts.push(self.both()?);
        }
        Ok(joined(parts, Condition::Or))
    }

    fn both(&mut self) -> Result<Condition, FilterError> {
        let mut parts = vec![self.negated()?];
        while self.takes_word("and") {
            parts.push(self.negated()?);
        }
        Ok(joined(parts, Condition::And))
    }

    fn negated(&mut self) -> Result<Condition, FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.trouble("it is nested too deeply"));
        }
        let condition = if self.takes_word("not") {
            Condition::Not(Box::new(self.negated()?))
        } else if self.takes_sign("(") {
            let inner = self.either()?;
            let closed = self.takes_sign(")");
            self.needs(closed, "\")\"")?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn test(&mut self) -> Result<Condition, FilterError> {
        let start = self.at;
        let left = self.operand(None)?;
        if self.takes_word("is") {
            let negated = self.takes_word("not");
            let null = self.takes_word("null");
            self.needs(null, "\"null\"")?;
            let Operand::Column(column) = left else {
                return Err(self.trouble("only a column can be null"));
            };
            return Ok(negate_if(negated, Condition::IsNull(column)));
        }
        let negated = self.takes_word("not");
        if self.takes_word("in") {
            return Ok(negate_if(negated, self.member(&left)?));
        }
        if self.takes_word("between") {
            return Ok(negate_if(negated, self.between(&left)?));
        }
        if self.takes_word("like") {
            return Ok(negate_if(negated, self.like(&left)?));
        }
        if negated {
            return Err(self.trouble("\"in\", \"between\" or \"like\" is expected"));
        }
        match self.comparison() {
            Some(sign) => self.compared(start, left, sign),
            None => match left {
                Operand::Column(column) if column.kind() == Kind::Truth => Ok(equals(left, 1.0)),
                _ => Err(self.trouble("a comparison is expected")),
            },
        }
    }

    fn comparison(&mut self) -> Option<&'static str> {
        let Token::Sign(sign) = *self.peek() else {
            return None;
        };
        let compares = !matches!(sign, "(" | ")" | ",");
        self.at += usize::from(compares);
        compares.then_some(sign)
    }

    fn compared(
        &mut self,
        start: usize,
        mut left: Operand,
        sign: &str,
    ) -> Result<Condition, FilterError> {
        let mut right = self.operand(kind_of(&left))?;
        // `'church' = label`: the kind of the left side is known only now.
        if let (Operand::Text(_), Operand::Column(_)) = (&left, &right) {
            let end = std::mem::replace(&mut self.at, start);
            left = self.operand(kind_of(&right))?;
            self.at = end;
        }
        if let (Some(one), Some(other)) = (kind_of(&left), kind_of(&right))
            && one != other
            && !matches!(
                (&left, &right),
                (Operand::Number(_), Operand::Column(c)) | (Operand::Column(c), Operand::Number(_))
                    if c.kind() != Kind::Text
            )
        {
            return Err(self.trouble("the two sides cannot be compared"));
        }
        Ok(match sign {
            "<" => Condition::Compare(left, Comparison::Less, right),
            "<=" => Condition::Compare(left, Comparison::LessOrEqual, right),
            ">" => {
                std::mem::swap(&mut left, &mut right);
                Condition::Compare(left, Comparison::Less, right)
            }
            ">=" => Condition::Compare(right, Comparison::LessOrEqual, left),
            "!=" | "<>" => {
                Condition::Not(Box::new(Condition::Compare(left, Comparison::Equal, right)))
            }
            _ => Condition::Compare(left, Comparison::Equal, right),
        })
    }

    fn member(&mut self, left: &Operand) -> Result<Condition, FilterError> {
        let opened = self.takes_sign("(");
        self.needs(opened, "\"(\"")?;
        let mut parts = Vec::new();
        loop {
            let value = self.comparable(left)?;
            parts.push(Condition::Compare(left.clone(), Comparison::Equal, value));
            if !self.takes_sign(",") {
                break;
            }
        }
        let closed = self.takes_sign(")");
        self.needs(closed, "\")\"")?;
        Ok(joined(parts, Condition::Or))
    }

    fn between(&mut self, left: &Operand) -> Result<Condition, FilterError> {
        let low = self.comparable(left)?;
        let and = self.takes_word("and");
        self.needs(and, "\"and\"")?;
        let high = self.comparable(left)?;
        let part =
            |low: Operand, high: Operand| Condition::Compare(low, Comparison::LessOrEqual, high);
        Ok(Condition::And(vec![
            part(low, left.clone()),
            part(left.clone(), high),
        ]))
    }

    fn like(&mut self, left: &Operand) -> Result<Condition, FilterError> {
        match (left, self.take()) {
            (Operand::Column(Column::Path), Token::Text(pattern)) => {
                Ok(Condition::Like(Column::Path, pattern.chars().collect()))
            }
            _ => Err(self.trouble("\"like\" compares path with a 'pattern'")),
        }
    }

    /// An operand of the kind of `left`.
    fn comparable(&mut self, left: &Operand) -> Result<Operand, FilterError> {
        let operand = self.operand(kind_of(left))?;
        let text = |operand: &Operand| kind_of(operand) == Some(Kind::Text);
        if text(left) == text(&operand) {
            Ok(operand)
        } else {
            Err(self.trouble("the values cannot be compared"))
        }
    }

    /// `against`: the kind of the other side; a string compared with a class names a class.
    fn operand(&mut self, against: Option<Kind>) -> Result<Operand, FilterError> {
        let start = self.position();
        match self.take() {
            Token::Number(number) => Ok(Operand::Number(number)),
            Token::Text(text) if against == Some(Kind::Class) => {
                let class = (self.class)(&text).map_err(|reason| error(start, reason))?;
                Ok(Operand::Number(f64::from(class.0)))
            }
            Token::Text(text) => Ok(Operand::Text(text)),
            Token::Word(word) if word == "true" => Ok(Operand::Number(1.0)),
            Token::Word(word) if word == "false" => Ok(Operand::Number(0.0)),
            Token::Word(word) => Column::named(&word).map(Operand::Column).ok_or_else(|| {
                let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
                let known = names.join(", ");
                error(start, format!("\"{word}\" is no column; there are {known}"))
            }),
            _ => Err(error(start, "a column or a value is expected".to_owned())),
        }
    }
}

fn kind_of(operand: &Operand) -> Option<Kind> {
    match operand {
        Operand::Column(column) => Some(column.kind()),
        Operand::Number(_) => Some(Kind::Number),
        Operand::Text(_) => Some(Kind::Text),
    }
}

fn equals(operand: Operand, number: f64) -> Condition {
    Condition::Compare(operand, Comparison::Equal, Operand::Number(number))
}

fn negate_if(negated: bool, condition: Condition) -> Condition {
    if negated {
        Condition::Not(Box::new(condition))
    } else {
        condition
    }
}

/// One part stands for itself.
fn joined(mut parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}
