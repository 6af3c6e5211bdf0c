//! The file with the contexts: several installations, each by its name.

use super::{Origin, check_address};
use crate::failure::Failure;
use crate::fleet_file::{Mistake, Source};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const HEAD: &str = "# Written by `nightshift context`; comments of yours would be lost.\n";

/// Where one installation answers; what it leaves open is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) console: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) planner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) coordinators: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<String>,
    /// A relative one is beside the file that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

impl Entry {
    /// Refuses addresses that are none, by their lines; `under` is the table's name with a dot, or nothing.
    pub(crate) fn check(&self, source: &Source, under: &str) -> Result<(), Mistake> {
        let single = [
            ("console", &self.console),
            ("planner", &self.planner),
            ("gateway", &self.gateway),
            ("health", &self.health),
        ];
        let single = single.into_iter().flat_map(|(field, value)| value.iter().map(move |one| (field, one)));
        for (field, address) in single.chain(self.coordinators.iter().map(|one| ("coordinators", one))) {
            let place = || source.place_of(&format!("{under}{field}"));
            check_address(address).map_err(|wrong| place().mistake(format!("{field} = {wrong}")))?;
        }
        Ok(())
    }

    /// With its files where they are, seen from here.
    pub(crate) fn beside(mut self, folder: &Path) -> Self {
        for path in [&mut self.token_file, &mut self.ca].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self
    }
}

/// All contexts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    contexts: BTreeMap<String, Entry>,
    /// Where the file is, which relative names are beside.
    #[serde(skip)]
    folder: PathBuf,
}

const FILE: &str = "contexts.toml";

impl Contexts {
    /// The one that counts where nobody says otherwise.
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// The one of this name, its files as seen from here.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        self.contexts.get(name).map(|entry| entry.clone().beside(&self.folder))
    }

    /// The file that they are in.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// All of them, by their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Entry)> {
        self.contexts.iter().map(|(name, entry)| (name.as_str(), entry.clone().beside(&self.folder)))
    }

    /// Puts one in; refused if the name is taken and it is not to be replaced.
    pub(crate) fn add(&mut self, name: &str, entry: Entry, replace: bool) -> Result<(), Failure> {
        if self.contexts.contains_key(name) && !replace {
            let taken = Failure::new(crate::exit::REFUSED, format!("there is a context \"{name}\" already"));
            return Err(taken
                .next(format!("nightshift context show {name}"))
                .next(format!("nightshift context add {name} --replace …")));
        }
        self.contexts.insert(name.to_owned(), entry);
        Ok(())
    }

    /// From now on this one counts; none if absent.
    pub(crate) fn choose(&mut self, name: Option<&str>) -> Result<(), Failure> {
        if let Some(name) = name.filter(|name| !self.contexts.contains_key(*name)) {
            return Err(self.unknown(name, &Origin::Flag("the command line")));
        }
        self.current = name.map(ToOwned::to_owned);
        Ok(())
    }

    /// Forgets one.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Failure> {
        if self.contexts.remove(name).is_none() {
            return Err(self.unknown(name, &Origin::Flag("the command line")));
        }
        self.current.take_if(|current| current == name);
        Ok(())
    }

    /// Nobody knows this name.
    pub(crate) fn unknown(&self, name: &str, origin: &Origin) -> Failure {
        let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "there is none".to_owned()
        } else {
            format!("known: {}", known.join(", "))
        };
        Failure::new(
            crate::exit::NOT_FOUND,
            format!("there is no context \"{name}\" (named by {origin}); {known}"),
        )
        .next("nightshift context list")
        .next(format!("nightshift context add {name} --host HOST"))
    }

    fn parse(source: &Source, folder: &Path) -> Result<Self, Mistake> {
        let mut contexts: Self = source.parse()?;
        for (name, entry) in &contexts.contexts {
            if !is_name(name) {
                let wrong = format!("contexts.\"{name}\": a name is letters, digits, dashes and underscores");
                return Err(source.place_of("contexts").mistake(wrong));
            }
            entry.check(source, &format!("contexts.{name}."))?;
        }
        if let Some(current) = contexts.current.as_ref().filter(|name| !contexts.contexts.contains_key(*name))
        {
            let wrong = format!("current = \"{current}\": there is no [contexts.{current}]");
            return Err(source.place_of("current").mistake(wrong));
        }
        contexts.folder = folder.to_owned();
        Ok(contexts)
    }
}

/// Whether a context may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(fits)
}

/// The file with the contexts.
pub(crate) struct ContextFile {
    path: PathBuf,
}

impl ContextFile {
    /// $XDG_CONFIG_HOME/nightshift/contexts.toml, or in ~/.config; none where there is neither.
    pub(crate) fn usual() -> Option<Self> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
        Some(Self::at(config.join("nightshift").join(FILE)))
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; nothing if it is not there.
    pub(crate) fn read(&self) -> anyhow::Result<Contexts> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(Contexts::parse(&Source::new(self.path.display().to_string(), text), folder)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Contexts { folder: folder.to_owned(), ..Contexts::default() })
            }
            Err(error) => Err(error).with_context(|| self.path.display().to_string()),
        }
    }

    /// Changes it: all or nothing, and one change after the other, whoever else is changing it.
    pub(crate) fn change(
        &self,
        change: impl FnOnce(&mut Contexts) -> Result<(), Failure>,
    ) -> anyhow::Result<Contexts> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let lock = self.path.with_extension("lock");
        let lock = File::create(&lock).with_context(|| lock.display().to_string())?;
        lock.lock()?;
        let mut contexts = self.read()?;
        change(&mut contexts)?;
        write_whole(&self.path, &format!("{HEAD}{}", toml::to_string(&contexts)?))?;
        Ok(contexts)
    }
}

/// Writes a file for its owner alone, all or nothing: whoever reads it sees the former one or this one.
pub(super) fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> anyhow::Result<()> {
        // Temporary files are made with mode 0600.
        let mut part = tempfile::NamedTempFile::new_in(folder)?;
        part.write_all(text.as_bytes())?;
        part.as_file().sync_all()?;
        part.persist(path)?;
        Ok(File::open(folder)?.sync_all()?)
    };
    write().with_context(|| path.display().to_string())
}
