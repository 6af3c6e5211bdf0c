//! What the contract's files say of each thing, by its path in the descriptor.

use prost_types::FileDescriptorProto;
use std::collections::BTreeMap;

pub struct Comments(BTreeMap<Vec<i32>, String>);

impl Comments {
    pub fn of(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let said = locations.filter(|location| location.leading_comments.is_some());
        let said = said.map(|location| (location.path.clone(), location.leading_comments().to_owned()));
        Self(said.collect())
    }

    /// In lines as they were written.
    pub fn text(&self, path: &[i32]) -> String {
        let said = self.0.get(path).map(String::as_str).unwrap_or_default();
        let lines: Vec<&str> = said.lines().map(str::trim).collect();
        lines.join("\n").trim().to_owned()
    }

    /// In one line, for a table.
    pub fn line(&self, path: &[i32]) -> String {
        self.text(path).replace('\n', " ").replace('|', "\\|")
    }
}
