//! A filter's text as words, numbers, strings and signs.

use super::{FilterError, MAX_TEXT};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Lower case.
    Word(String),
    Number(f64),
    Text(String),
    Sign(&'static str),
    End,
}

/// Tokens, each with the characters before it; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FilterError> {
    if text.len() > MAX_TEXT {
        return Err(error(0, format!("it is longer than {MAX_TEXT} bytes")));
    }
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let rest = characters.get(at..).unwrap_or(&[]);
        let (length, token) = match character {
            space if space.is_whitespace() => {
                at += 1;
                continue;
            }
            '\'' => string(rest).ok_or_else(|| error(at, "a quotation mark is missing".into()))?,
            letter if letter.is_alphabetic() || letter == '_' => word(rest),
            digit if digit.is_ascii_digit() || "+-.".contains(digit) => {
                number(rest).ok_or_else(|| error(at, "a number is malformed".into()))?
            }
            _ => sign(rest).ok_or_else(|| error(at, format!("'{character}' has no meaning")))?,
        };
        tokens.push((at, token));
        at += length;
    }
    tokens.push((at, Token::End));
    Ok(tokens)
}

pub(super) fn error(position: usize, reason: String) -> FilterError {
    FilterError { position, reason }
}

fn string(rest: &[char]) -> Option<(usize, Token)> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        match (rest.get(at)?, rest.get(at + 1)) {
            ('\'', Some('\'')) => {
                text.push('\'');
                at += 2;
            }
            ('\'', _) => return Some((at + 1, Token::Text(text))),
            (&other, _) => {
                text.push(other);
                at += 1;
            }
        }
    }
}

fn word(rest: &[char]) -> (usize, Token) {
    let belongs = |character: &&char| character.is_alphanumeric() || **character == '_';
    let word: String = rest.iter().take_while(belongs).collect();
    (word.chars().count(), Token::Word(word.to_lowercase()))
}

fn number(rest: &[char]) -> Option<(usize, Token)> {
    let mut text = String::new();
    for &character in rest {
        let after_exponent = text.ends_with(['e', 'E']);
        let signed = "+-".contains(character) && (text.is_empty() || after_exponent);
        if !(character.is_ascii_alphanumeric() || character == '.' || signed) {
            break;
        }
        text.push(character);
    }
    let number: f64 = text
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())?;
    Some((text.chars().count(), Token::Number(number)))
}

fn sign(rest: &[char]) -> Option<(usize, Token)> {
    const SIGNS: [&str; 11] = ["==", "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","];
    let starts = |sign: &&&str| sign.chars().eq(rest.iter().take(sign.len()).copied());
    let sign = SIGNS.iter().find(starts)?;
    Some((sign.len(), Token::Sign(sign)))
}
