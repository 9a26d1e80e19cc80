//! The mappings in `examples/mappings/` keep their promises.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::mapping::coverage::Coverage;
use crate::mapping::engine::{CompileEnv, RunCx};
use crate::mapping::host::HostData;
use crate::mapping::preview::trace::Previewer;
use crate::mapping::reverse::put::WayBack;
use crate::mapping::schema::RecordShape;
use crate::mapping::sheet::markdown::{Documentation, TestNote};
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::trial::run_tests;

struct Shipped {
    file: PathBuf,
    spec: MappingSpec,
    samples: Vec<Value>,
    data: HostData,
}

fn shipped() -> Vec<Shipped> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mappings");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_document = |file: &PathBuf| {
        let name = file.to_string_lossy();
        name.ends_with(".json") && !name.ends_with(".input.json")
    };
    let all: Vec<_> = files
        .filter(is_document)
        .map(|file| {
            let spec = MappingSpec::parse(&fs::read_to_string(&file).unwrap()).unwrap();
            let mut samples =
                vec![serde_json::from_slice(&fs::read(file.with_extension("input.json")).unwrap()).unwrap()];
            samples.extend(
                spec.tests.iter().filter(|test| test.expect.is_some()).map(|test| test.input.clone()),
            );
            let values = spec.tests.iter().flat_map(|test| &test.context);
            let data =
                values.fold(HostData::new(), |data, (name, value)| data.with_context(name, value.clone()));
            Shipped { file, spec, samples, data }
        })
        .collect();
    assert!(all.len() >= 5);
    all
}

#[test]
fn their_tests_pass() {
    for Shipped { spec, .. } in shipped() {
        let previewer = Previewer::compile(&spec, &CompileEnv::default()).unwrap();

        let outcomes = run_tests(&spec, previewer.mapping());

        assert!(outcomes.len() >= 2, "{}", spec.id);
        let problems: Vec<_> = outcomes.iter().filter(|test| test.problem.is_some()).collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", spec.id);
    }
}

#[test]
fn their_ways_back_keep_the_laws() {
    for Shipped { spec, samples, data, .. } in shipped() {
        let way_back = WayBack::compile(&spec, &CompileEnv::default()).unwrap();

        let report = way_back.check_laws(&samples, &RunCx::new(&data));

        let said: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{}: {said:#?}", spec.id);
    }
}

/// `cargo run --example try_mapping -- --write` renders them.
#[test]
fn their_pages_are_current() {
    for Shipped { file, spec, samples, .. } in shipped() {
        let previewer = Previewer::compile(&spec, &CompileEnv::default()).unwrap();
        let coverage = Coverage::of(&spec, Some(&RecordShape::from_samples(&samples).unwrap()), None);
        let notes: Vec<_> = run_tests(&spec, previewer.mapping())
            .into_iter()
            .map(|test| TestNote::passed(test.name))
            .collect();

        let page = Documentation::new().with_coverage(&coverage).with_tests(&notes).to_markdown(&spec);

        assert!(fs::read_to_string(file.with_extension("md")).unwrap() == page, "{}", file.display());
    }
}
