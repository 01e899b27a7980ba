//! The uses of names between the source files of a crate, resolved through modules, imports and re-exports.
//!
//! Test modules and macro arguments are ignored. A name that cannot be resolved belongs to another crate.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, Item, UseTree,
    visit::{self, Visit},
};

/// Pairs of files, with the names that the first file uses from the second one.
pub(crate) type Uses = BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>;

/// Reads the crate with this root file, and returns its uses between files. Paths are relative to the root's directory.
pub(crate) fn of_crate(root: &Path) -> Uses {
    let directory = root.parent().unwrap();
    let mut modules = Modules::default();
    modules.read(root, directory, None);
    let mut uses = Uses::new();
    for user in 0..modules.all.len() {
        for path in &modules.all[user].paths {
            let Some((used, name)) = modules.resolve(user, path, 0) else { continue };
            let [from, to] = [user, used].map(|module| modules.all[module].file.clone());
            if from != to && !modules.contains(user, used) {
                let relative = |file: PathBuf| file.strip_prefix(directory).map(Path::to_owned).unwrap_or(file);
                uses.entry((relative(from), relative(to))).or_default().insert(name);
            }
        }
    }
    uses
}

/// Returns the groups of files with circular uses, direct or indirect.
pub(crate) fn cycles(uses: &Uses) -> Vec<Vec<&Path>> {
    let files: BTreeSet<&Path> = uses.keys().flat_map(|(from, to)| [from.as_path(), to.as_path()]).collect();
    let files: Vec<&Path> = files.into_iter().collect();
    let index = |file: &Path| files.binary_search(&file).unwrap();
    let edges = uses.keys().map(|(from, to)| (index(from), index(to)));
    let graph = petgraph::graph::DiGraph::<(), (), usize>::from_edges(edges);
    let cycles = petgraph::algo::kosaraju_scc(&graph).into_iter().filter(|cycle| cycle.len() > 1);
    let mut cycles: Vec<Vec<&Path>> =
        cycles.map(|cycle| cycle.into_iter().map(|file| files[file.index()]).collect()).collect();
    cycles.iter_mut().for_each(|cycle| cycle.sort_unstable());
    cycles.sort();
    cycles
}

#[derive(Default)]
struct Modules {
    all: Vec<Module>,
}

struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: HashMap<String, usize>,
    /// Imported names with their paths.
    imports: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Names that the module defines.
    items: BTreeSet<String>,
    /// All paths in the module.
    paths: Vec<Vec<String>>,
}

impl Modules {
    /// Reads a file as a module, with its submodules in `directory`.
    fn read(&mut self, file: &Path, directory: &Path, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.add(&parsed.items, file, directory, parent)
    }

    fn add(&mut self, items: &[Item], file: &Path, directory: &Path, parent: Option<usize>) -> usize {
        let at = self.all.len();
        let module = Module {
            file: file.to_owned(),
            parent,
            children: HashMap::new(),
            imports: HashMap::new(),
            globs: Vec::new(),
            items: BTreeSet::new(),
            paths: Vec::new(),
        };
        self.all.push(module);
        for item in items {
            match item {
                Item::Mod(child) if !is_test(&child.attrs) => {
                    let name = child.ident.to_string();
                    let inner = directory.join(&name);
                    let child = match &child.content {
                        Some((_, items)) => self.add(items, file, &inner, Some(at)),
                        None => {
                            let beside = directory.join(format!("{name}.rs"));
                            let elsewhere = path_attribute(&child.attrs).map(|path| file.parent().unwrap().join(path));
                            let inside = if beside.is_file() { beside } else { inner.join("mod.rs") };
                            let file = elsewhere.unwrap_or(inside);
                            self.read(&file, &inner, Some(at))
                        }
                    };
                    self.all[at].children.insert(name, child);
                }
                Item::Mod(_) => {}
                Item::Use(import) => self.all[at].import(&import.tree, &mut Vec::new()),
                item => {
                    let module = &mut self.all[at];
                    module.items.extend(defined(item));
                    Paths(&mut module.paths).visit_item(item);
                }
            }
        }
        at
    }

    /// Returns true when the second module is the first one or a descendant of it.
    fn contains(&self, outer: usize, inner: usize) -> bool {
        let mut ancestors = std::iter::successors(Some(inner), |&module| self.all[module].parent);
        ancestors.any(|module| module == outer)
    }

    /// Resolves a path to the module that defines its item, and the item's name.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<(usize, String)> {
        // Glob imports may be circular.
        if depth > 16 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let module = &self.all[from];
        match first.as_str() {
            "crate" => self.resolve(0, rest, depth + 1),
            "self" => self.resolve(from, rest, depth + 1),
            "super" => self.resolve(module.parent?, rest, depth + 1),
            name => {
                if let Some(&child) = module.children.get(name).filter(|_| !rest.is_empty()) {
                    return self.resolve(child, rest, depth + 1);
                }
                if module.items.contains(name) {
                    return Some((from, name.to_owned()));
                }
                if let Some(import) = module.imports.get(name) {
                    // `use x::y as x` must not be resolved recursively.
                    let path: Vec<String> = import.iter().chain(rest).cloned().collect();
                    return if import.first() == Some(first) { None } else { self.resolve(from, &path, depth + 1) };
                }
                module.globs.iter().find_map(|glob| {
                    let path: Vec<String> = glob.iter().chain(path).cloned().collect();
                    self.resolve(from, &path, depth + 1)
                })
            }
        }
    }
}

impl Module {
    fn import(&mut self, tree: &UseTree, prefix: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(&path.tree, prefix);
                prefix.pop();
            }
            UseTree::Name(name) => self.import_as(&name.ident.to_string(), None, prefix),
            UseTree::Rename(name) => self.import_as(&name.ident.to_string(), Some(name.rename.to_string()), prefix),
            UseTree::Glob(_) => self.globs.push(prefix.clone()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, prefix)),
        }
    }

    fn import_as(&mut self, name: &str, rename: Option<String>, prefix: &[String]) {
        let mut path = prefix.to_vec();
        if name != "self" {
            path.push(name.to_owned());
        }
        let Some(last) = path.last().cloned() else { return };
        // The import of an item is a use of it. The import of a module is no use until an item of the module is used.
        self.paths.push(path.clone());
        self.imports.insert(rename.unwrap_or(last), path);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Meta>().is_ok_and(|condition| match condition {
                syn::Meta::Path(path) => path.is_ident("test"),
                _ => false,
            })
    })
}

/// Returns the value of `#[path = "…"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Returns the name that an item defines in its module.
fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(ident.to_string())
}

/// A visitor that collects all paths.
struct Paths<'a>(&'a mut Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        // An import within a function is a use.
        let mut module = Module {
            file: PathBuf::new(),
            parent: None,
            children: HashMap::new(),
            imports: HashMap::new(),
            globs: Vec::new(),
            items: BTreeSet::new(),
            paths: Vec::new(),
        };
        module.import(&import.tree, &mut Vec::new());
        self.0.extend(module.paths);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }
}
