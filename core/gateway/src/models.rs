//! `GET /v1/models` and `GET /v1/models/{id}`: what this key may ask for.

use crate::exchange::{End, Exchange};
use crate::ingress::respond;
use crate::refusal::Refusal;
use crate::telemetry::record::Model;
use crate::terms::Terms;
use serde_json::{Value, json};

/// Lists the aliases that the key may use, less those of which no target may have its content.
///
/// # Errors
/// 401, or the caller has gone.
pub async fn list(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let caller = exchange.identify()?;
    let terms = Terms::of(&caller.principal, &caller.wishes);
    let mut names: Vec<&str> = exchange
        .snapshot
        .routes
        .keys()
        .map(|name| &**name)
        .filter(|name| caller.principal.may_use(name))
        .filter(|name| exchange.snapshot.route(name).is_some_and(|route| route.reachable(&terms)))
        .collect();
    names.sort_unstable();
    if exchange.voice.is_anthropic() {
        let data: Vec<Value> = names.iter().map(|name| anthropic_card(name)).collect();
        let (first, last) = (names.first(), names.last());
        return write(
            exchange,
            &json!({ "data": data, "has_more": false, "first_id": first, "last_id": last }),
        )
        .await;
    }
    let data: Vec<Value> = names.into_iter().map(|name| card(name, "weir")).collect();
    write(exchange, &json!({ "object": "list", "data": data })).await
}

/// One model.
///
/// # Errors
/// 401, 404, or the caller has gone.
pub async fn one(exchange: &mut Exchange<'_>, id: &str) -> Result<(), End> {
    let caller = exchange.identify()?;
    let terms = Terms::of(&caller.principal, &caller.wishes);
    let route = exchange.snapshot.route(id).filter(|_| caller.principal.may_use(id));
    let route = route.filter(|route| route.reachable(&terms));
    let route = route.ok_or_else(|| Refusal::unknown_model(id))?;
    if exchange.voice.is_anthropic() {
        return write(exchange, &anthropic_card(id)).await;
    }
    let owner = if route.label == Model::Direct { id.split('/').next().unwrap_or("weir") } else { "weir" };
    write(exchange, &card(id, owner)).await
}

fn card(id: &str, owner: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
}

/// A model in Anthropic's words.
fn anthropic_card(id: &str) -> Value {
    json!({
        "type": "model",
        "id": id,
        "display_name": id,
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    })
}

async fn write(exchange: &mut Exchange<'_>, body: &Value) -> Result<(), End> {
    let body = body.to_string();
    let head = respond::json_head(200, body.len(), &exchange.id)?;
    exchange.record.status = 200;
    exchange.record.outcome = crate::telemetry::record::Outcome::Ok;
    Ok(respond::whole(exchange.session, head, body.into()).await?)
}
