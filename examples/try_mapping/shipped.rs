//! All of `examples/mappings/`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::context_of;
use crossdock::mapping::{
    CompileEnv, Coverage, Documentation, MappingSpec, Previewer, RecordShape, RunCx, TestNote, WayBack,
    run_tests,
};

pub(crate) fn run(write: bool) -> Result<ExitCode, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mappings");
    let (mut mappings, mut passed, mut failures) = (0, 0, 0);
    for file in documents(&folder)? {
        let text = fs::read_to_string(&file)?;
        let spec = match MappingSpec::parse(&text) {
            Ok(spec) => spec,
            Err(found) => {
                crate::problems::show(&file.to_string_lossy(), &text, &found);
                failures += 1;
                continue;
            }
        };
        mappings += 1;
        let previewer = Previewer::compile(&spec, &CompileEnv::default())?;
        for test in run_tests(&spec, previewer.mapping()) {
            match test.problem {
                None => passed += 1,
                Some(problem) => {
                    failures += 1;
                    println!("{}: test `{}`: {problem}", spec.id, test.name);
                }
            }
        }
        let data = context_of(&spec);
        let samples = samples(&spec, &file)?;
        let laws = WayBack::compile(&spec, &CompileEnv::default())?.check_laws(&samples, &RunCx::new(&data));
        failures += laws.failures.len();
        laws.failures.iter().for_each(|failure| println!("{}: {failure}", spec.id));
        let rendered = documentation(&spec, &previewer, &samples)?;
        let page = file.with_extension("md");
        if write {
            fs::write(&page, &rendered)?;
        } else if fs::read_to_string(&page).ok().as_deref() != Some(&rendered) {
            failures += 1;
            println!("{}: {} is not current; run with --write", spec.id, page.display());
        }
        println!(
            "{}: {} rules, {} tests, {} checks of laws",
            spec.id,
            spec.fields.len(),
            spec.tests.len(),
            laws.checks
        );
    }
    println!("try_mapping: {mappings} mappings, {passed} tests passed");
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The mapping for readers, with what it covers of the samples and how its tests went.
pub(crate) fn documentation(
    spec: &MappingSpec,
    previewer: &Previewer,
    samples: &[Value],
) -> Result<String, Box<dyn Error>> {
    let source = RecordShape::from_samples(samples)?;
    let coverage = Coverage::of(spec, Some(&source).filter(|_| !samples.is_empty()), None);
    let notes: Vec<TestNote> = run_tests(spec, previewer.mapping())
        .into_iter()
        .map(|test| match test.problem {
            None => TestNote::passed(test.name),
            Some(problem) => TestNote::failed(test.name, problem),
        })
        .collect();
    Ok(Documentation::new().with_coverage(&coverage).with_tests(&notes).to_markdown(spec))
}

/// The record beside the document, and those of its tests that pass.
fn samples(spec: &MappingSpec, file: &Path) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut samples = vec![serde_json::from_slice(&fs::read(file.with_extension("input.json"))?)?];
    samples.extend(spec.tests.iter().filter(|test| test.expect.is_some()).map(|test| test.input.clone()));
    Ok(samples)
}

fn documents(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".json") && !name.ends_with(".input.json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
