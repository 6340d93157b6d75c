/** A dependency could not say: the same may go through later. Where a person waits it becomes a 503, where a queue waits another attempt. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
