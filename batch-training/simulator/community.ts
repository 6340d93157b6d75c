import { CHAT_LINES, REVIEW_PARTS, SPAM_LINES, TOXIC_LINES } from "./community-texts.ts";
import type { Product } from "./catalogue.ts";
import type { Customer, People } from "./people.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, type Truth, type World } from "./world.ts";

/** What people write: reviews some days after buying, chats with the service, and what should not stand there. */
export class Community {
  readonly #world: World;
  readonly #people: People;
  readonly #random: SeededRandom;

  constructor(world: World, people: People) {
    this.#world = world;
    this.#people = people;
    this.#random = world.random("community");
  }

  /** Somebody bought things, and may write about one of them. */
  bought(customer: Customer, products: readonly Product[], at: number): void {
    const random = this.#random;
    if (!random.chance(customer.writes)) return;
    const product = random.pick(products);
    const content = random.weighted([92, 4, 4]);
    const rating = Math.min(5, Math.max(1, Math.round(random.normal(1.6 + 3.6 * product.quality, 0.8))));
    const text =
      content === 0
        ? this.#review(product, rating)
        : this.#fill(random.pick(content === 1 ? TOXIC_LINES : SPAM_LINES), product);
    this.#world.emit(
      "community",
      "social.post.created.v1",
      at + random.between(2, 16) * DAY_MS,
      {
        postId: this.#world.id("post"),
        authorId: customer.id,
        text,
        productId: product.id,
        rating: content === 1 ? 1 : content === 2 ? 5 : rating,
        language: "en",
      },
      { truth: truthOf(content) },
    );
  }

  live(day: number, products: readonly Product[]): void {
    const random = this.#random;
    for (let chats = random.poisson(3.2 * this.#world.options.scale); chats > 0; chats--) {
      const conversationId = this.#world.id("cnv");
      const author = random.pick(this.#people.customers);
      let at = this.#world.day(day) + random.between(7, 22) * HOUR_MS;
      const content = random.weighted([88, 8, 4]);
      for (let messages = 1 + random.poisson(1.1); messages > 0; messages--) {
        const angry = content === 1 && (messages === 1 || random.chance(0.4));
        const lines = content === 2 ? SPAM_LINES : angry ? TOXIC_LINES : CHAT_LINES;
        this.#world.emit(
          "community",
          "chat.message.posted.v1",
          at,
          {
            messageId: this.#world.id("msg"),
            conversationId,
            authorId: author.id,
            text: this.#fill(random.pick(lines), random.pick(products)),
            language: "en",
          },
          { truth: truthOf(content === 2 ? 2 : angry ? 1 : 0) },
        );
        at += random.between(0.5, 9) * MINUTE_MS;
      }
    }
  }

  #review(product: Product, rating: number): string {
    const { opening, body, closing } = REVIEW_PARTS[rating >= 4 ? "good" : rating === 3 ? "mixed" : "bad"];
    const random = this.#random;
    const parts = [random.pick<string>(opening), random.pick<string>(body)];
    if (random.chance(0.35)) parts.push(random.pick<string>(body));
    parts.push(random.pick<string>(closing));
    return this.#fill([...new Set(parts)].filter((part) => part !== "").join(" "), product);
  }

  #fill(text: string, product: Product): string {
    return text
      .replaceAll("{noun}", product.category.noun)
      .replaceAll("{brand}", product.brand.name)
      .replaceAll("{digits}", () => String(100 + this.#random.below(9_900)));
  }
}

function truthOf(content: number): Truth {
  if (content === 1) return { content: "toxic" };
  return content === 2 ? { content: "spam" } : {};
}
