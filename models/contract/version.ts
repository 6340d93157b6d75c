/**
 * Version of the contract: events, API, manifest, decision record, errors.
 *
 * A change that an old reader or an old sender notices (a field removed, renamed, narrowed or newly required; a meaning
 * changed) bumps CONTRACT_VERSION, and the type's own suffix (`order.placed.v2`) where it is an event. An addition that both
 * sides can ignore does not. Either way CONTRACT_HASH moves, and one line here says what happened.
 *
 * 1  First contract. Added since: the degraded flag `decision-set-aside`; scoring answers `unavailable` where it can keep no decision; the error `signature-refused`; training jobs; refusals of uploads.
 *    For recommenders: the manifest's optional `recommender`; the arm of a list, in answers and `ml.recommendation.served.v1`. Operations on the layout of entity state; consistency reports; staged feature loads.
 *    Vectors of versions in a vector index: their operations and the errors `vectors-not-ready` and `vectors-refused`.
 */
export const CONTRACT_VERSION = 1;

/** Oldest contract whose stored events, manifests and decisions this build still reads. */
export const OLDEST_READABLE_CONTRACT = 1;

/** SHA-256 of the contract's canonical JSON; held by test/node/contract/contract-hash.test.ts. */
export const CONTRACT_HASH = "c972c772a16c3327f1afa4149e7621092ec559f2840bb66afb2c3e205f9dd5f6";
