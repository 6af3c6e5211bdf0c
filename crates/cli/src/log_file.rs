//! The log as a file, one JSON document a line.

use crate::failure::Failure;
use anyhow::Context as _;
use nightshift_audit::Record;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::Builder;

/// The name of standard output, where a file is asked for.
const STANDARD_OUTPUT: &str = "-";

/// Whether this name stands for standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    path == Path::new(STANDARD_OUTPUT)
}

/// Reads a log that the command line names.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("{}: {error}", path.display())).next("nightshift events export FILE")
    };
    let file = File::open(path).map_err(|error| wrong(&error))?;
    nightshift_audit::file::read(BufReader::new(file)).map_err(|error| wrong(&format_args!("{error:#}")))
}

/// Writes a log. A regular file that is there already is replaced only when all is written; what is there and is none (a
/// FIFO, a device, a link) is written to as it is, and `-` is standard output.
pub(crate) fn write(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        if is_standard_output(path) {
            return lines(io::stdout().lock(), records).map(|_| ());
        }
        match fs::symlink_metadata(path) {
            Ok(there) if !there.is_file() => lines(File::create(path)?, records).map(|_| ()),
            Ok(there) => replace(path, records, Some(there.permissions())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, records, None),
            Err(error) => Err(error.into()),
        }
    };
    write().with_context(|| path.display().to_string())
}

/// Under a name that nobody else has, in the same folder, and then by this one: whoever reads it finds the former log, or
/// all of this one.
fn replace(path: &Path, records: &[Record], permissions: Option<Permissions>) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What its owner's umask takes away of this is taken away, as of every other new file.
    let part = Builder::new()
        .prefix(".")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    if let Some(permissions) = permissions {
        part.as_file().set_permissions(permissions)?;
    }
    lines(part.as_file(), records)?.sync_all()?;
    part.persist(path)?;
    Ok(())
}

fn lines<W: Write>(to: W, records: &[Record]) -> anyhow::Result<W> {
    let mut to = BufWriter::new(to);
    records.iter().try_for_each(|record| nightshift_audit::file::write_line(&mut to, record))?;
    Ok(to.into_inner().map_err(io::IntoInnerError::into_error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_beside_it_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        fs::write(folder.path().join("log.part"), "mine").unwrap();
        write(&log, &[]).unwrap();
        fs::write(&log, "the former one").unwrap();
        fs::set_permissions(&log, Permissions::from_mode(0o600)).unwrap();
        write(&log, &[]).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "");
        assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(folder.path().join("log.part")).unwrap(), "mine");
        assert_eq!(names(folder.path()), ["log.jsonl", "log.part"]);
    }

    #[test]
    fn what_is_no_regular_file_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for _ in 0..2 {
            write(&link, &[]).unwrap();
            assert!(link.is_symlink() && target.is_file());
        }
        let error = write(folder.path(), &[]).unwrap_err();
        assert!(format!("{error:#}").contains("directory"), "{error:#}");
    }

    #[test]
    fn a_file_that_is_not_there_or_is_no_log_is_a_mistake_of_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let damaged = folder.path().join("damaged.jsonl");
        fs::write(&damaged, "no log\n").unwrap();
        for path in [&damaged, &folder.path().join("none.jsonl")] {
            let failure = read(path).unwrap_err();
            assert_eq!(failure.code(), crate::exit::USAGE);
            assert!(failure.to_string().starts_with(&path.display().to_string()), "{failure}");
        }
    }
}
