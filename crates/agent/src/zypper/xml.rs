//! What `zypper --xmlout` prints, as a flat list of elements: it is a stream, and one that was cut off still tells what
//! came before.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeMap;

/// One element, with its own text and the element around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) parent: String,
    attributes: BTreeMap<String, String>,
    pub(super) text: String,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Every element of a whole answer.
pub(super) fn answer(text: &str) -> Result<Vec<Element>, String> {
    let wrong = |why: &str| {
        let quoted: String = text.trim().chars().take(80).collect();
        format!("zypper answered with something that is no list ({why}): {quoted:?}")
    };
    let (elements, error) = elements(text);
    match (error, elements.iter().any(|element| element.name == "stream")) {
        (None, true) => Ok(elements),
        (None, false) => Err(wrong("no stream")),
        (Some(error), _) => Err(wrong(&error)),
    }
}

/// The elements up to the end, or to what is no XML, in the order in which they end.
pub(super) fn elements(text: &str) -> (Vec<Element>, Option<String>) {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut elements = Vec::new();
    let error = loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let element = element(&start, open.last());
                open.push(element);
            }
            Ok(Event::Empty(start)) => elements.push(element(&start, open.last())),
            Ok(Event::Text(text)) => {
                if let (Some(element), Ok(text)) = (open.last_mut(), text.unescape()) {
                    element.text.push_str(&text);
                }
            }
            Ok(Event::End(_)) => elements.extend(open.pop()),
            Ok(Event::Eof) if open.is_empty() => break None,
            Ok(Event::Eof) => break Some("it was cut off".to_owned()),
            Ok(_) => {}
            Err(error) => break Some(error.to_string()),
        }
    };
    elements.extend(open.into_iter().rev());
    (elements, error)
}

fn element(start: &BytesStart<'_>, around: Option<&Element>) -> Element {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let attributes = start.attributes().flatten().map(|attribute| {
        let value = attribute.unescape_value().map_or_else(|_| text(&attribute.value), |value| value.into());
        (text(attribute.key.as_ref()), value)
    });
    Element {
        name: text(start.name().as_ref()),
        parent: around.map(|element| element.name.clone()).unwrap_or_default(),
        attributes: attributes.collect(),
        text: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_what_is_around_each_element() {
        let text = "<?xml version='1.0'?>\n<stream>\n<message type=\"error\">It&apos;s off</message>\n\
            <to-remove><solvable type=\"package\" name=\"fx-victim\"/></to-remove></stream>\n";
        let elements = answer(text).unwrap();
        assert_eq!((&*elements[0].name, &*elements[0].text), ("message", "It's off"));
        assert_eq!((&*elements[1].parent, elements[1].attribute("name")), ("to-remove", "fx-victim"));
    }

    #[test]
    fn garbage_is_an_error_that_quotes_it() {
        for garbage in ["<html><body>Sign in</body></html>", "Segmentation fault", "", "<stream><update"] {
            assert!(answer(garbage).unwrap_err().contains(garbage), "{garbage}");
        }
    }
}
