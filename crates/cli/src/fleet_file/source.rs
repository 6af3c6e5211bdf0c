//! A TOML file's text, and the place of whatever is wrong in it.

use crate::failure::Failure;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {sentence}")]
pub struct Mistake {
    place: Place,
    /// What is wrong: the field, its value, and what it must be.
    sentence: String,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    file: String,
    line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}", self.file, self.line)
    }
}

impl Place {
    /// Something wrong here.
    pub(crate) fn mistake(&self, sentence: impl Into<String>) -> Mistake {
        Mistake { place: self.clone(), sentence: sentence.into() }
    }

    /// The line, from 1.
    pub(crate) fn line(&self) -> usize {
        self.line
    }
}

/// A file's name and text.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
}

impl Source {
    pub(crate) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        Ok(Self::new(path.display().to_string(), text))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The line on which a part of the text begins.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        Place { file: self.name.clone(), line: before.matches('\n').count() + 1 }
    }

    /// Something wrong with a value of the text.
    pub(crate) fn mistake<T>(&self, value: &Spanned<T>, sentence: impl Into<String>) -> Mistake {
        self.place(value.span()).mistake(sentence)
    }

    /// Reads the whole text.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Mistake> {
        toml::from_str(&self.text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let excerpt = self.excerpt(&span);
            self.place(span).mistake(format!("{excerpt}: {}", error.message()))
        })
    }

    /// Where a field is, by the keys that lead to it with dots between them; the first line if it is not in the text.
    pub(crate) fn place_of(&self, field: &str) -> Place {
        let span = DeTable::parse(&self.text).ok().and_then(|table| span_of(table.get_ref(), field));
        self.place(span.unwrap_or_default())
    }

    /// The line as it stands; of a long one, the field that the span is in.
    fn excerpt(&self, span: &Range<usize>) -> String {
        const LONG: usize = 100;
        let start =
            self.text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        if line.trim().len() <= LONG {
            return line.trim().to_owned();
        }
        let end = span.end.saturating_sub(start).min(line.len());
        let before = line.get(..span.start - start).unwrap_or_default();
        let field = before.rfind([',', '{']).map_or(0, |place| place + 1);
        line.get(field..end).unwrap_or(line).trim().chars().take(LONG).collect()
    }
}

fn span_of(table: &DeTable<'_>, field: &str) -> Option<Range<usize>> {
    let (key, rest) = field.split_once('.').map_or((field, None), |(key, rest)| (key, Some(rest)));
    let (name, value) = table.get_key_value(key)?;
    match (rest, value.get_ref()) {
        (Some(rest), DeValue::Table(inner)) => span_of(inner, rest),
        _ => Some(name.span()),
    }
}
