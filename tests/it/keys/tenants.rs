//! Tenants never see one another's keys.

use std::collections::BTreeSet;

use crossdock::activity::ActivityFilter;
use crossdock::api_keys::CreatedKey;
use crossdock::primitives::{ApiKeyId, PageRequest};
use crossdock::tenancy::Actor;
use crossdock::{Error, ErrorKind};
use libtest_mimic::Trial;

use super::administration::{CHANGES, READS, call};
use super::{House, Told, house, reader, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![story("another_tenants_ids_answer_exactly_like_ids_that_do_not_exist", differential)]
}

/// What can be seen of a call.
fn seen(result: Result<String, Error>) -> Result<String, (ErrorKind, String, String)> {
    result.map_err(|error| (error.kind(), error.to_string(), format!("{error:?}")))
}

/// A tenant with a key that was used, and refused.
async fn furnished(house: &House, tenant: &str) -> Result<CreatedKey, Box<dyn std::error::Error>> {
    let created = house.keys(tenant).create(reader().max_uses(100)).await?;
    house.get(created.token.reveal()).await?;
    let _ = house.call(created.token.reveal(), |call| call.administrative()).await;
    house.hub.gate().flush().await?;
    Ok(created)
}

async fn state(house: &House, tenant: &str, id: ApiKeyId) -> Result<Vec<String>, Error> {
    let mut state = Vec::new();
    for name in READS {
        state.push(call(&house.keys(tenant), name, id, "").await?);
    }
    Ok(state)
}

async fn differential() -> Told {
    let house = house()?;
    let theirs = furnished(&house, "acme").await?;
    let ours = furnished(&house, "globex").await?;
    let before = state(&house, "acme", theirs.key.id).await?;
    let unknown = ApiKeyId::mint(house.now(), [1; 10]);
    let form = crossdock::api_keys::TokenForm::new("cd")?;
    let nobodys = form.mint(Default::default(), crossdock::api_keys::PublicId::mint([1; 16]), &[1; 32]);
    let globex = house.keys("globex");

    let mut told_apart = BTreeSet::new();
    for &name in READS.iter().chain(CHANGES) {
        if matches!(name, "list" | "create") {
            continue;
        }
        let foreign = seen(call(&globex, name, theirs.key.id, theirs.token.reveal()).await);
        let missing = seen(call(&globex, name, unknown, nobodys.reveal()).await);
        if foreign != missing {
            told_apart.insert((name, format!("{foreign:?}"), format!("{missing:?}")));
        }
    }

    assert!(told_apart.is_empty(), "{told_apart:#?}");
    assert_eq!(state(&house, "acme", theirs.key.id).await?, before, "nothing of theirs has changed");
    let admin = house.hub.admin(Actor::org_admin("globex".parse()?, "ada"));
    let everything = format!(
        "{:?} {:?}",
        state(&house, "globex", ours.key.id).await?,
        admin.activity().list(&ActivityFilter::default(), PageRequest::first(1_000)).await?
    );
    assert!(!everything.contains(&theirs.key.id.to_string()) && !everything.contains("acme"));
    Ok(())
}
