//! One order: account, challenges, certificate.

use std::fs;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeHandle, ChallengeType, Identifier, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};

use super::Acme;
use crate::https::data;

/// Whatever goes wrong with an order; it is logged.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Gets a certificate for `domain`: it and its key, in PEM.
///
/// By TLS-ALPN-01 first, which needs port 443 only; where that fails, by HTTP-01.
pub(super) fn run(acme: &Acme, domain: &str) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let account = account(acme).await?;
        let mut complaints = Vec::new();
        for kind in [ChallengeType::TlsAlpn01, ChallengeType::Http01] {
            let name = format!("{kind:?}");
            match tokio::time::timeout(PATIENCE, order(acme, &account, domain, kind)).await {
                Ok(Ok(pem)) => return Ok(pem),
                Ok(Err(error)) => complaints.push(format!("{name}: {error}")),
                Err(_) => complaints.push(format!("{name}: no answer in time")),
            }
        }
        Err(complaints.join("; ").into())
    })
}

/// The account of before, or a new one.
async fn account(acme: &Acme) -> Result<Account, Failure> {
    let options = &acme.options;
    let builder = match &options.acme_ca {
        Some(ca) => Account::builder_with_root(ca)?,
        None => Account::builder()?,
    };
    let path = acme.folder.join("account.json");
    if let Some(credentials) = data::read(&path)? {
        return Ok(builder.from_credentials(serde_json::from_str(&credentials)?).await?);
    }
    let contact: Vec<String> = options.acme_email.iter().map(|address| format!("mailto:{address}")).collect();
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, options.acme_directory.clone(), None).await?;
    data::write(&path, &serde_json::to_string(&credentials)?)?;
    Ok(account)
}

async fn order(acme: &Acme, account: &Account, domain: &str, kind: ChallengeType) -> Result<String, Failure> {
    let identifiers = [Identifier::Dns(domain.into())];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let mut published = Published(Vec::new());
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => return Err(format!("the authorization is {other:?}").into()),
        }
        let mut challenge =
            authorization.challenge(kind.clone()).ok_or("the authority does not offer this challenge")?;
        publish(acme, domain, &kind, &challenge, &mut published)?;
        challenge.set_ready().await?;
    }
    let retries = RetryPolicy::new().timeout(PATIENCE);
    match order.poll_ready(&retries).await? {
        OrderStatus::Ready | OrderStatus::Valid => {}
        _ => return Err(complaint(&mut order).await.into()),
    }
    drop(published);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![domain.to_owned()])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&retries).await?;
    Ok(format!("{}\n{}", chain.trim_end(), key.serialize_pem()))
}

/// What the authority had against us.
async fn complaint(order: &mut instant_acme::Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return problem.to_string();
        }
    }
    "the authority did not find the domain here".into()
}

/// Puts the answer to a challenge where every process of the server finds it.
fn publish(
    acme: &Acme,
    domain: &str,
    kind: &ChallengeType,
    challenge: &ChallengeHandle<'_>,
    published: &mut Published,
) -> Result<(), Failure> {
    let authorization = challenge.key_authorization();
    let (path, answer) = match kind {
        ChallengeType::TlsAlpn01 => {
            // RFC 8737 §3: a certificate for the domain that vouches for itself and holds the digest.
            let mut params = CertificateParams::new(vec![domain.to_owned()])?;
            params.custom_extensions =
                vec![CustomExtension::new_acme_identifier(authorization.digest().as_ref())];
            let key = KeyPair::generate()?;
            (acme.answer_by_tls(domain), params.self_signed(&key)?.pem() + &key.serialize_pem())
        }
        _ => {
            let path =
                acme.answer_by_http(challenge.token.as_bytes()).ok_or("the challenge's token is none")?;
            (path, authorization.as_str().to_owned())
        }
    };
    data::write(&path, &answer)?;
    published.0.push(path);
    Ok(())
}

/// Answers to challenges; they go when the order is over.
struct Published(Vec<std::path::PathBuf>);

impl Drop for Published {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path); // what stays there answers nobody's question
        }
    }
}

/// How long an authority may take for one step.
const PATIENCE: Duration = Duration::from_secs(90);
