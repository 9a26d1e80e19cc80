//! `claim`: round robin.

use std::collections::BTreeMap;

use crate::tenancy::model::TenantId;
use crate::testing::conformance::world::{LEASE, World, at, tenant};
use crate::testing::conformance::{Check, Failure, StoreHarness, Verdict, holds, same};
use crate::webhooks::model::Claim;
use crate::webhooks::queue::ClaimRequest;

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    world_checks!["fairness":
        each_tenant_gets_its_share_before_any_gets_a_second_one,
        what_one_tenant_leaves_goes_to_the_others,
        a_round_goes_on_behind_the_cursor_and_wraps_around,
        a_cursor_is_answered_when_there_is_nothing,
        many_tenants_that_are_paused_starve_nobody,
        many_tenants_whose_slots_are_taken_starve_nobody,
        many_tenants_that_are_held_back_starve_nobody,
        a_busy_webhook_does_not_starve_its_tenants_others,
        a_tenant_that_is_excepted_gets_nothing_and_holds_back_nobody,
    ]
}

const LONG: u32 = 1_000;

async fn each_tenant_gets_its_share_before_any_gets_a_second_one(world: World) -> Verdict {
    let names = tenants(5)?;
    for (index, name) in names.iter().enumerate() {
        subscribe(&world, name).await?;
        world.send_for(name, if index == 0 { 50 } else { 4 }, at(0)).await?;
    }

    let claims = claim_after(&world, 10, None).await?.0;

    let counts = count(&claims);
    same(claims.len(), 10, "as many as asked for")?;
    holds(names.iter().all(|name| counts.get(name) == Some(&2)), "each has its share, whoever has more due")
}

async fn what_one_tenant_leaves_goes_to_the_others(world: World) -> Verdict {
    let names = tenants(4)?;
    for (index, name) in names.iter().enumerate() {
        subscribe(&world, name).await?;
        world.send_for(name, if index == 0 { 50 } else { 1 }, at(0)).await?;
    }

    let claims = claim_after(&world, 12, None).await?.0;

    let counts = count(&claims);
    same(claims.len(), 12, "nothing that is asked for and due is left")?;
    same(counts.get(&names[0]), Some(&9), "who has more due gets what is left")
}

async fn a_round_goes_on_behind_the_cursor_and_wraps_around(world: World) -> Verdict {
    let names = tenants(6)?;
    for name in &names {
        subscribe(&world, name).await?;
        world.send_for(name, 3, at(0)).await?;
    }
    let (mut after, mut given) = (None, Vec::new());

    for _ in 0..9 {
        let (claims, next) = claim_after(&world, 2, after).await?;
        same(claims.len(), 2, "as many as asked for")?;
        given.extend(claims.into_iter().map(|claim| claim.webhook.tenant.clone()));
        after = next;
    }

    for round in given.chunks(6) {
        let mut round = round.to_vec();
        round.sort();
        same(&round, &names, "in each round, each tenant gets one")?;
    }
    Ok(())
}

async fn a_cursor_is_answered_when_there_is_nothing(world: World) -> Verdict {
    let names = tenants(3)?;
    for name in &names {
        subscribe(&world, name).await?;
    }
    let last = names.last().cloned();
    let (claims, after) = claim_after(&world, 5, last).await?;
    holds(claims.is_empty(), "there is nothing")?;
    for name in &names {
        world.send_for(name, 1, at(0)).await?;
    }

    let claims = claim_after(&world, 5, after).await?.0;

    same(claims.len(), 3, "from wherever the round goes on, everybody is found")
}

async fn many_tenants_that_are_paused_starve_nobody(world: World) -> Verdict {
    for name in tenants(60)? {
        let webhook = subscribe(&world, &name).await?;
        world.send_for(&name, 1, at(0)).await?;
        world.pause(&webhook, at(1)).await?;
    }

    found_at_once(&world).await
}

async fn many_tenants_whose_slots_are_taken_starve_nobody(world: World) -> Verdict {
    let names = tenants(60)?;
    for name in &names {
        let mut webhook = world.webhook_of(name, at(0))?;
        webhook.max_in_flight = Some(1);
        world.insert(webhook).await?;
        world.send_for(name, 2, at(0)).await?;
    }
    same(claim_after(&world, 100, None).await?.0.len(), 60, "one slot each")?;

    found_at_once(&world).await
}

async fn many_tenants_that_are_held_back_starve_nobody(world: World) -> Verdict {
    let names = tenants(60)?;
    for name in &names {
        subscribe(&world, name).await?;
        world.send_for(name, 1, at(0)).await?;
    }
    let claims = claim_after(&world, 100, None).await?.0;
    let results: Vec<_> = claims
        .iter()
        .map(|claim| {
            let mut result = world.result(claim, crate::webhooks::model::Fate::Delivered, at(0));
            result.pause_until = Some(at(500));
            result
        })
        .collect();
    world.settle_all(&results, at(0)).await?;
    for name in &names {
        world.send_for(name, 1, at(1)).await?;
    }

    found_at_once(&world).await
}

async fn a_busy_webhook_does_not_starve_its_tenants_others(world: World) -> Verdict {
    let busy = world.webhook_with(|webhook| webhook.max_in_flight = Some(LONG)).await?;
    world.send(100, at(0)).await?;
    let mut quiet = Vec::new();
    for _ in 0..5 {
        quiet.push(world.webhook_with(|webhook| webhook.max_in_flight = Some(LONG)).await?.id);
    }
    world.send(1, at(1)).await?;

    let mut given = Vec::new();
    let mut after = None;
    for _ in 0..6 {
        let (claims, next) = claim_after(&world, 4, after).await?;
        given.extend(claims.into_iter().map(|claim| claim.webhook.id));
        after = next;
    }

    holds(quiet.iter().all(|id| given.contains(id)), "each webhook of the tenant has had its turn")?;
    holds(given.contains(&busy.id), "the busy one as well")
}

async fn a_tenant_that_is_excepted_gets_nothing_and_holds_back_nobody(world: World) -> Verdict {
    let names = tenants(3)?;
    for name in &names {
        subscribe(&world, name).await?;
        world.send_for(name, 4, at(0)).await?;
    }
    let ask = |limit, except: &[TenantId]| {
        let request = ClaimRequest::new(at(2), LEASE, limit).except(except.iter().cloned());
        world.stores.queue.claim(request)
    };

    let without = ask(100, &names[..2]).await?;
    same(count(&without.claims), [(names[2].clone(), 4)].into(), "only the others get something")?;
    let nothing = ask(100, &names).await?;
    holds(nothing.claims.is_empty(), "whoever is excepted gets nothing")?;
    holds(nothing.next_due.is_none_or(|due| due > at(2)), "nor is anything due that could be claimed")?;
    let again = ask(100, &names[..1]).await?;
    same(count(&again.claims), [(names[1].clone(), 4)].into(), "what was left is there the next time")?;
    let rest = ask(100, &[]).await?;
    same(count(&rest.claims), [(names[0].clone(), 4)].into(), "and nothing of it is lost")
}

/// One tenant, behind all those who must wait, has something due: the very next call gives it.
async fn found_at_once(world: &World) -> Verdict {
    let last = tenant("zebra")?;
    subscribe(world, &last).await?;
    world.send_for(&last, 1, at(2)).await?;

    let claims = claim_after(world, 5, None).await?.0;

    same(count(&claims).get(&last), Some(&1), "those who must wait do not hold back who need not")
}

fn tenants(count: usize) -> Result<Vec<TenantId>, Failure> {
    (0..count).map(|number| tenant(&format!("tenant {number:03}"))).collect()
}

async fn subscribe(world: &World, tenant: &TenantId) -> Result<crate::webhooks::model::Webhook, Failure> {
    let mut webhook = world.webhook_of(tenant, at(0))?;
    webhook.max_in_flight = Some(LONG);
    world.insert(webhook).await
}

async fn claim_after(
    world: &World,
    limit: usize,
    after: Option<TenantId>,
) -> Result<(Vec<Claim>, Option<TenantId>), Failure> {
    let request = ClaimRequest::new(at(2), LEASE, limit).with_after(after);
    let claimed = world.stores.queue.claim(request).await?;
    Ok((claimed.claims, claimed.after))
}

fn count(claims: &[Claim]) -> BTreeMap<TenantId, usize> {
    let mut counts = BTreeMap::new();
    for claim in claims {
        *counts.entry(claim.webhook.tenant.clone()).or_default() += 1;
    }
    counts
}
