//! Tree: a simulated file system's directories and files, by inode number.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use super::file::Content;
use super::{Rng, names};
use crate::fs::FileKind;

const ROOT: u64 = 0;

/// A file or a directory.
#[derive(Clone)]
pub(super) enum Node {
    File(Content),
    Dir(Dir),
}

/// Entries as listed, entries as a crash leaves them, and what happened in between.
#[derive(Clone, Default)]
pub(super) struct Dir {
    pub(super) live: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    pending: Vec<DirOp>,
}

/// One change of a directory; a move within a directory is one change.
#[derive(Clone)]
pub(super) enum DirOp {
    Link(String, u64),
    Unlink(String),
    Move(String, String, u64),
}

impl DirOp {
    fn apply(&self, entries: &mut BTreeMap<String, u64>) {
        match self {
            DirOp::Link(name, id) => {
                entries.insert(name.clone(), *id);
            }
            DirOp::Unlink(name) => {
                entries.remove(name);
            }
            DirOp::Move(from, to, id) => {
                entries.remove(from);
                entries.insert(to.clone(), *id);
            }
        }
    }
}

impl Dir {
    fn change(&mut self, op: DirOp) {
        op.apply(&mut self.live);
        self.pending.push(op);
    }
}

#[derive(Clone)]
pub(super) struct Tree {
    nodes: HashMap<u64, Node>,
    next: u64,
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { nodes: HashMap::from([(ROOT, Node::Dir(Dir::default()))]), next: ROOT + 1 }
    }

    pub(super) fn lookup(&self, path: &Path) -> io::Result<u64> {
        self.walk(&names(path)?)
    }

    fn walk(&self, names: &[&str]) -> io::Result<u64> {
        names.iter().try_fold(ROOT, |id, name| {
            self.dir(id)?.live.get(*name).copied().ok_or(io::ErrorKind::NotFound.into())
        })
    }

    pub(super) fn dir(&self, id: u64) -> io::Result<&Dir> {
        match self.nodes.get(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn dir_mut(&mut self, id: u64) -> io::Result<&mut Dir> {
        match self.nodes.get_mut(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The inode of a path that must be a file.
    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        let id = self.lookup(path)?;
        match self.kind(id) {
            FileKind::File => Ok(id),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn content(&mut self, id: u64) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(content)) => Ok(content),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn kind(&self, id: u64) -> FileKind {
        match self.nodes.get(&id) {
            Some(Node::File(_)) => FileKind::File,
            Some(Node::Dir(_)) => FileKind::Dir,
            None => FileKind::Other,
        }
    }

    pub(super) fn len(&self, id: u64) -> u64 {
        match self.nodes.get(&id) {
            Some(Node::File(content)) => content.live().len() as u64,
            _ => 0,
        }
    }

    /// Bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        let files = self.nodes.values().map(|node| match node {
            Node::File(content) if content.links > 0 => content.live().len() as u64,
            _ => 0,
        });
        files.sum()
    }

    fn add(&mut self, node: Node) -> u64 {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        id
    }

    fn split(path: &Path) -> io::Result<(Vec<&str>, &str)> {
        let mut dir = names(path)?;
        let name = dir.pop().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((dir, name))
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<u64> {
        let (dir, name) = Tree::split(path)?;
        let parent = self.walk(&dir)?;
        self.dir(parent)?;
        let id = self.add(Node::File(Content::named()));
        self.dir_mut(parent)?.change(DirOp::Link(name.to_owned(), id));
        Ok(id)
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for name in names(path)? {
            at = match self.dir(at)?.live.get(name) {
                Some(id) => *id,
                None => {
                    let id = self.add(Node::Dir(Dir::default()));
                    self.dir_mut(at)?.change(DirOp::Link(name.to_owned(), id));
                    id
                }
            };
        }
        self.dir(at).map(|_| ())
    }

    pub(super) fn link(&mut self, path: &Path, id: u64) -> io::Result<()> {
        let (dir, name) = Tree::split(path)?;
        let parent = self.walk(&dir)?;
        self.dir_mut(parent)?.change(DirOp::Link(name.to_owned(), id));
        self.content(id)?.links += 1;
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = Tree::split(path)?;
        let parent = self.walk(&dir)?;
        let id = self.lookup(path)?;
        self.dir_mut(parent)?.change(DirOp::Unlink(name.to_owned()));
        self.forget(id);
        Ok(())
    }

    /// Takes one name from a file, or the names of everything below a directory.
    fn forget(&mut self, id: u64) {
        match self.nodes.get_mut(&id) {
            Some(Node::File(content)) => content.links = content.links.saturating_sub(1),
            Some(Node::Dir(dir)) => {
                let below: Vec<u64> = dir.live.values().copied().collect();
                below.into_iter().for_each(|id| self.forget(id));
            }
            None => {}
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_dir, from_name), (to_dir, to_name)) = (Tree::split(from)?, Tree::split(to)?);
        let (source, target) = (self.walk(&from_dir)?, self.walk(&to_dir)?);
        let id = self.lookup(from)?;
        if let Ok(replaced) = self.lookup(to) {
            match (self.nodes.get(&id), self.nodes.get(&replaced)) {
                _ if id == replaced => return Ok(()),
                (Some(Node::File(_)), Some(Node::File(_))) => self.forget(replaced),
                (Some(Node::Dir(_)), Some(Node::Dir(dir))) if dir.live.is_empty() => {}
                (_, Some(Node::Dir(_))) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
                _ => return Err(io::ErrorKind::NotADirectory.into()),
            }
        }
        let (from_name, to_name) = (from_name.to_owned(), to_name.to_owned());
        if source == target {
            self.dir_mut(source)?.change(DirOp::Move(from_name, to_name, id));
        } else {
            self.dir_mut(target)?.change(DirOp::Link(to_name, id));
            self.dir_mut(source)?.change(DirOp::Unlink(from_name));
        }
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, id: u64) -> io::Result<()> {
        let dir = self.dir_mut(id)?;
        dir.durable = dir.live.clone();
        dir.pending.clear();
        Ok(())
    }

    /// The tree a reboot finds.
    pub(super) fn after_crash(&self, rng: &mut Rng) -> Tree {
        let mut after = Tree { nodes: HashMap::new(), next: self.next };
        let mut ids: Vec<u64> = self.nodes.keys().copied().collect();
        // In a fixed order, so that the outcome depends on the seed alone.
        ids.sort_unstable();
        for id in ids {
            let node = match self.nodes.get(&id) {
                Some(Node::File(content)) => Node::File(content.after_crash(rng)),
                Some(Node::Dir(dir)) => {
                    let mut live = dir.durable.clone();
                    let happened = rng.up_to(dir.pending.len());
                    dir.pending.iter().take(happened).for_each(|op| op.apply(&mut live));
                    Node::Dir(Dir { durable: live.clone(), live, pending: Vec::new() })
                }
                None => continue,
            };
            after.nodes.insert(id, node);
        }
        after
    }
}
