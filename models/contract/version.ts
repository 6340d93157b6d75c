/**
 * Version of the contract: events, API, manifest, decision record, errors.
 *
 * A change that an old reader or an old sender notices (a field removed, renamed, narrowed or newly required; a meaning
 * changed) bumps CONTRACT_VERSION, and the type's own suffix (`order.placed.v2`) where it is an event. An addition that both
 * sides can ignore does not. Either way CONTRACT_HASH moves, and one line here says what happened.
 *
 * 1  First contract. Added since: the degraded flag `decision-set-aside`; scoring answers `unavailable` where it can keep no decision; the error `signature-refused`.
 *    For recommenders: the manifest's optional `recommender`.
 */
export const CONTRACT_VERSION = 1;

/** Oldest contract whose stored events, manifests and decisions this build still reads. */
export const OLDEST_READABLE_CONTRACT = 1;

/** SHA-256 of the contract's canonical JSON; held by test/node/contract/contract-hash.test.ts. */
export const CONTRACT_HASH = "80aa6144de08d7e662a0155b1b86e01eaefc15fc959f6ae4687a60076e3d6f64";
