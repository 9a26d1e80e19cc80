//! A tenant's default login goes to the hosts that it was given for.

use crossdock::ErrorKind;
use crossdock::testing::Reply;
use crossdock::webhooks::{Auth, DefaultsUpdate, LoginHosts, NewWebhook};
use libtest_mimic::Trial;

use super::secrets::{SHARED, basic, last_authorization};
use super::{Told, assert_refused, house, house_with, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_default_login_is_sent_to_its_hosts_and_to_no_others", default_login_has_hosts),
        story("a_default_login_clashes_only_with_webhooks_that_it_is_sent_to", no_clash_elsewhere),
    ]
}

async fn default_login_has_hosts() -> Told {
    let house = house_with(|receivers| receivers.everybody([Reply::status(401)]), |builder| builder)?;
    let admin = house.admin("t");
    let erp = house.subscribe("t", "https://erp.example.com/").await?;
    let slack = house.subscribe("t", "https://hooks.example.net/").await?;
    let change = async || DefaultsUpdate::of(&admin.defaults().await.expect("an answer"));
    let login = || Auth::basic("shared").with_password(SHARED);

    // Which hosts is never guessed.
    let refused = admin.update_defaults(change().await.auth(login())).await;
    assert_refused(refused, ErrorKind::Invalid, &["auth_hosts"]);
    let alone = admin.update_defaults(change().await.auth_hosts(["erp.example.com"])).await;
    assert_refused(alone, ErrorKind::Invalid, &["auth_hosts"]);
    let wrong = change().await.auth(login()).auth_hosts(["erp.example.com/hooks", "localhost"]);
    assert_refused(
        admin.update_defaults(wrong).await,
        ErrorKind::Invalid,
        &["auth_hosts[0]", "auth_hosts[1]"],
    );

    let set = admin.update_defaults(change().await.auth(login()).auth_hosts(["ERP.example.com"])).await?;
    assert_eq!(set.auth_hosts, LoginHosts::only(["erp.example.com"]));
    assert_eq!(last_authorization(&house, erp).await?, basic("shared", SHARED));
    assert_eq!(last_authorization(&house, slack).await?, None);

    // Whoever wonders is told.
    let causes = async |id| -> Result<Vec<_>, crossdock::Error> {
        let findings = admin.webhooks().diagnose(id).await?.findings;
        Ok(findings.iter().map(|finding| finding.cause.as_str()).collect())
    };
    assert!(causes(slack).await?.starts_with(&["login_withheld", "refused"]));
    assert!(causes(erp).await?.starts_with(&["refused"]));

    // More hosts would read a password that nobody can read here.
    let more = ["erp.example.com", "evil.example.org"];
    let spread = admin.update_defaults(change().await.auth_hosts(more)).await;
    assert_refused(spread, ErrorKind::Invalid, &["auth"]);
    let spread = admin.update_defaults(change().await.auth(Auth::basic("shared")).auth_for_all_hosts()).await;
    assert_refused(spread, ErrorKind::Invalid, &["auth"]);
    admin.update_defaults(change().await.auth(login()).auth_for_all_hosts()).await?;
    assert_eq!(last_authorization(&house, slack).await?, basic("shared", SHARED));
    // Fewer are always fine, and a new password needs no hosts again.
    admin.update_defaults(change().await.auth_hosts(["erp.example.com"])).await?;
    admin.update_defaults(change().await.auth(Auth::basic("shared").with_password("new"))).await?;
    assert_eq!(last_authorization(&house, slack).await?, None);
    assert_eq!(last_authorization(&house, erp).await?, basic("shared", "new"));
    let cleared = admin.update_defaults(change().await.clear_auth()).await?;
    assert_eq!((cleared.auth, cleared.auth_hosts), (None, LoginHosts::default()));
    Ok(())
}

async fn no_clash_elsewhere() -> Told {
    let house = house()?;
    let admin = house.admin("t");
    let new = |url| NewWebhook::to(url).events(["*"]).header("x-team", "logistics");
    admin.webhooks().create(new("https://own.example.com/")).await?;
    let key = || Auth::headers([("x-team", "abc")]);
    let seen = admin.defaults().await?;

    let clash = admin.update_defaults(DefaultsUpdate::of(&seen).auth(key()).auth_for_all_hosts()).await;
    assert_refused(clash, ErrorKind::Invalid, &["auth"]);

    // The login is not sent there, so the webhook may write the header itself.
    admin.update_defaults(DefaultsUpdate::of(&seen).auth(key()).auth_hosts(["erp.example.com"])).await?;
    let clash = admin.webhooks().create(new("https://erp.example.com/")).await;
    assert_refused(clash, ErrorKind::Invalid, &["headers"]);
    admin.webhooks().create(new("https://another.example.com/")).await?;
    Ok(())
}
