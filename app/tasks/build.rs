//! Unpacks Swagger UI, which the page at `/docs` uses, from a crate that contains it.

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{self, Cursor},
    path::Path,
};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// Paths of the files in the archive, below its only directory.
const FILES: &[&str] =
    &["dist/swagger-ui.css", "dist/swagger-ui-bundle.js", "dist/favicon-32x32.png", "LICENSE", "NOTICE"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let target = Path::new(&env::var("OUT_DIR")?).join("swagger-ui");
    fs::create_dir_all(&target)?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let name = file.name()?.into_owned();
        let Some(wanted) = FILES.iter().find(|wanted| name.split_once('/').is_some_and(|(_, below)| below == **wanted))
        else {
            continue;
        };
        let leaf = wanted.rsplit('/').next().unwrap_or(wanted);
        io::copy(&mut file, &mut File::create(target.join(leaf))?)?;
    }
    Ok(())
}
