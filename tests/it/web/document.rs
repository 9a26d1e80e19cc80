//! The OpenAPI document: that it is one, that it says what the routes do, and that it does not change unseen.
//!
//! `tests/data/openapi-3.1-schema.json` is the OpenAPI Initiative's schema of OpenAPI 3.1 documents, of 2022-10-07, unchanged:
//! `schemas/v3.1/schema.json` of <https://github.com/OAI/OpenAPI-Specification> at commit `882d1cae`, under the Apache License 2.0.
//! `tests/data/openapi.json` is the document as it was when somebody last looked at it; `CROSSDOCK_ACCEPT_OPENAPI=1` writes it anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crossdock::web::axum::openapi;
use http::{Method, StatusCode};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{MOUNT, Told, house, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("the_document_is_the_one_that_was_looked_at", snapshot),
        story("the_document_is_openapi_3_1", validates),
        story("every_schema_in_the_document_is_a_json_schema", schemas),
        story("every_route_is_in_the_document_and_everything_in_it_is_a_route", complete),
        story("the_document_is_served_with_the_path_that_it_is_mounted_under", served),
        story("what_the_api_answers_fits_the_document", answers_fit),
    ]
}

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

async fn snapshot() -> Told {
    let now = format!("{:#}\n", openapi());
    let path = data("openapi.json");
    if std::env::var_os("CROSSDOCK_ACCEPT_OPENAPI").is_some() {
        fs::write(&path, &now)?;
    }

    let before = fs::read_to_string(&path)?;

    if let Some((line, (old, new))) =
        before.lines().zip(now.lines()).enumerate().find(|(_, (old, new))| old != new)
    {
        return Err(
            format!("line {}: was `{old}`, is `{new}`; see tests/it/web/document.rs", line + 1).into()
        );
    }
    assert_eq!(before.len(), now.len());
    Ok(())
}

async fn validates() -> Told {
    let schema: Value = serde_json::from_str(&fs::read_to_string(data("openapi-3.1-schema.json"))?)?;
    let validator = jsonschema::draft202012::new(&schema)?;

    let wrong: Vec<_> = validator.iter_errors(&openapi()).map(|error| error.to_string()).collect();

    assert!(wrong.is_empty(), "{wrong:?}");
    let mut broken = openapi();
    broken["paths"]["/keys"]["get"]["responses"] = json!([]);
    assert!(!validator.is_valid(&broken), "a document that is none would be found");
    Ok(())
}

async fn schemas() -> Told {
    let document = openapi();
    let schemas = document["components"]["schemas"].as_object().ok_or("schemas")?;
    assert!(schemas.len() > 40, "{}", schemas.len());
    for (name, schema) in schemas {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}");
    }
    // Every reference leads somewhere.
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in &references {
        let name = reference.strip_prefix("#/components/schemas/").ok_or("a reference within")?;
        assert!(schemas.contains_key(name), "{reference}");
    }
    assert!(references.len() > 30);
    Ok(())
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| collect(field, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::TRACE];

/// The operations of the document: method and path.
pub(super) fn operations() -> Vec<(Method, String)> {
    let document = openapi();
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let of_path = |(path, item): (String, Value)| {
        let item = item.as_object().cloned().unwrap_or_default();
        METHODS.into_iter().filter_map(move |method| {
            item.contains_key(&method.as_str().to_lowercase()).then(|| (method, path.clone()))
        })
    };
    paths.into_iter().flat_map(of_path).collect()
}

async fn complete() -> Told {
    let house = house()?;
    let described: BTreeSet<_> =
        operations().into_iter().map(|(method, path)| (path, method.to_string())).collect();
    assert!(described.len() > 35, "{}", described.len());
    let paths: BTreeSet<_> = described.iter().map(|(path, _)| path.clone()).collect();

    for path in &paths {
        let there = path.replace("{id}", "none").replace("{name}", "none");
        for method in METHODS {
            let answer = house.ask("acme", method.clone(), &there, None).await;
            let is_route = answer.status != StatusCode::METHOD_NOT_ALLOWED;
            let is_described = described.contains(&(path.clone(), method.to_string()));
            assert_eq!(is_route, is_described, "{method} {path}: {}", answer.status);
            if is_route && !path.contains('{') {
                assert_ne!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            }
        }
    }
    // The other way round: every path that the sources route is one of the document's.
    let mut routed = BTreeSet::new();
    for file in sources(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/web/axum/management"))? {
        let text = fs::read_to_string(file)?;
        let handlers = text.matches("#[utoipa::path(").count();
        let registered: usize = text
            .split("routes!(")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap_or_default().split(',').count())
            .sum();
        assert_eq!(handlers, registered, "each handler that is described is routed");
        let paths = text.split("path = \"").skip(1);
        routed.extend(paths.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    assert_eq!(routed, paths);
    Ok(())
}

fn sources(folder: &std::path::Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(sources(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

async fn served() -> Told {
    let house = house()?;

    // To everybody: it holds nobody's affairs.
    let request = http::Request::get(format!("{MOUNT}/openapi.json")).body(axum::body::Body::empty())?;
    let mut served = house.send(request).await.expect(StatusCode::OK);

    assert_eq!(served["servers"], json!([{"url": MOUNT}]));
    served.as_object_mut().ok_or("an object")?.remove("servers");
    assert_eq!(served, openapi());
    Ok(())
}

/// The answers of a short story, each judged by the schema that the document has for it.
async fn answers_fit() -> Told {
    let house = house()?;
    let document = openapi();
    let made = house
        .post("/keys", json!({"name": "ERP", "permissions": ["read"]}))
        .await
        .expect(StatusCode::CREATED);
    let key = made["key"]["id"].as_str().ok_or("an id")?.to_owned();
    let webhook = house.subscribe("https://refuses.example.com/").await;
    house.publish("acme").await?;
    house.work().await;
    let page = house.get("/deliveries").await.expect(StatusCode::OK);
    let delivery = page["items"][0]["id"].as_str().ok_or("an id")?.to_owned();
    let replay = json!({"webhook": webhook, "from": "1900-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"});
    let started = house.post("/replays", replay.clone()).await.expect(StatusCode::CREATED);
    let started = started["id"].as_str().ok_or("an id")?.to_owned();
    let (source, received) = house.source("acme", "ord_1").await?;
    house.hub.inbound_worker().run_until_idle().await;
    let mut judged = 0;
    for (method, path) in operations() {
        let id = match path.split('/').nth(1) {
            Some("keys") => &key,
            Some("webhooks") => &webhook,
            Some("deliveries") => &delivery,
            Some("replays") => &started,
            Some("sources") => &source,
            Some("received") => &received,
            _ => "order.placed",
        };
        let there = path.replace("{id}", id).replace("{name}", id);
        let body = match &*path {
            "/keys" => json!({"name": "ERP", "scopes": ["orders:read"], "rate": {"calls": 5, "seconds": 1}}),
            "/keys/leaks" => json!({"token": "x"}),
            "/webhooks" => json!({"url": "https://a.example.com/", "events": ["*"], "retry": {"delays": [1]},
                                  "auth": {"kind": "basic", "username": "x", "password": "y"},
                                  "ordering": {"by": "all", "on_exhausted": "skip"}, "rate_limit": {"per_second": 1, "burst": 2}}),
            "/sources" => json!({"name": "shop", "preset": "shopify"}),
            "/sources/{id}" => json!({"title": "Other", "body_cap": 1000}),
            "/sources/{id}/switch" => json!({"state": "off"}),
            "/received/replay" => json!({"statuses": ["done"]}),
            "/webhooks/{id}" => json!({"name": "Other"}),
            "/webhooks/{id}/test" => json!({"event_type": "order.placed"}),
            "/webhooks/{id}/release" => json!({"head": "retry"}),
            "/replays" | "/replays/preview" => replay.clone(),
            "/defaults" => json!({"timeout": 10}),
            _ => json!({}),
        };
        // The webhook is needed to the end.
        if method == Method::DELETE {
            continue;
        }
        let body = (method != Method::GET).then_some(body);
        let answer = house.ask_with("acme", method.clone(), &there, &[("if-match", "*")], body).await;
        let operation = &document["paths"][&path][method.as_str().to_lowercase()];
        let status = answer.status.as_str().to_owned();
        assert!(answer.status.is_success() || answer.status == 409, "{method} {path}: {:?}", answer);
        let described = operation["responses"].get(&status).unwrap_or(&operation["responses"]["default"]);
        let content =
            described["content"].as_object().and_then(|types| types.iter().next()).ok_or("content")?;
        assert_eq!(answer.header("content-type"), Some(&**content.0), "{method} {path}");
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [content.1.get("schema").cloned().unwrap_or(json!(true))],
            "components": document["components"],
        });
        let validator = jsonschema::draft202012::new(&schema)?;
        let wrong: Vec<_> = validator.iter_errors(&answer.json()).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{method} {path} {status}: {wrong:?}");
        judged += 1;
    }
    assert!(judged > 35, "{judged}");
    Ok(())
}
