/** Building blocks of generated English. `{noun}` is the article, `{brand}` its maker. */
export const REVIEW_PARTS = {
  good: {
    opening: [
      "Really happy with this {noun}.",
      "Exactly what I was looking for.",
      "My second {noun} from {brand}, and again no complaints.",
      "Great {noun} for the money.",
      "Arrived a day early and well packed.",
      "I was sceptical at first, but this {noun} won me over.",
    ],
    body: [
      "The quality feels solid and it looks better than in the pictures.",
      "I have used it every day for two weeks now and it works perfectly.",
      "My partner wants one too.",
      "Easy to use, nothing wobbles, nothing smells.",
      "Customer service answered my question within an hour.",
      "It fits perfectly and the colour is true to the photo.",
    ],
    closing: ["Would buy again.", "Five stars from me.", "Recommended.", "Thanks, {brand}!", ""],
  },
  mixed: {
    opening: [
      "It is okay.",
      "A decent {noun}, with some weak points.",
      "Mixed feelings about this one.",
      "Not bad, not great.",
    ],
    body: [
      "The material is thinner than I expected.",
      "It does its job, but the instructions are useless.",
      "Delivery took more than a week.",
      "For this price I would have expected a bit more.",
      "One corner was scratched, otherwise fine.",
    ],
    closing: ["We will see how long it lasts.", "I am keeping it for now.", ""],
  },
  bad: {
    opening: [
      "Very disappointed.",
      "This {noun} broke after three days.",
      "Not what was shown in the picture.",
      "I expected much better from {brand}.",
    ],
    body: [
      "It stopped working and nobody answers my mails.",
      "The size is completely wrong.",
      "It smells of chemicals and the seam came loose.",
      "It arrived damaged and the box had been opened before.",
    ],
    closing: ["I am sending it back.", "Save your money.", "Never again.", ""],
  },
} as const;

export const CHAT_LINES = [
  "Hi, when will my order arrive?",
  "Is the {noun} also available in a larger size?",
  "Can I still change the delivery address of my order?",
  "My parcel says delivered but nothing is here.",
  "Do you know when the {noun} is back in stock?",
  "Thanks, that solved it!",
  "The discount code does not work at the checkout.",
  "How do I send something back?",
  "Could you tell me whether this {noun} works with the older model?",
  "I was charged twice, please check.",
  "Great, thank you for the quick help.",
  "Is it possible to pick up the {noun} in the store?",
];

export const TOXIC_LINES = [
  "You people are complete idiots, give me my money back right now.",
  "What a pathetic joke of a shop, I hope you all lose your jobs.",
  "Anyone who buys this garbage is a brainless moron.",
  "Shut up, you useless liar, you have no clue about anything.",
  "You are the dumbest support agent on this planet, go to hell.",
  "I know where your office is and you will regret this, you worthless clowns.",
  "Only a total loser would write such a stupid review, get lost.",
  "This brand is run by disgusting crooks and so are you, idiot.",
];

/** `{digits}` is a number that changes, so that no two are alike. */
export const SPAM_LINES = [
  "Earn {digits} EUR a day from home, no experience needed, visit quick-cash-{digits} dot example",
  "BEST replica watches and bags 90% OFF!!! click prize-{digits} dot example now",
  "Congratulations, you have been selected for a free phone, claim code {digits} at winner dot example",
  "I lost 12 kg in {digits} days with this one pill, order at slim-{digits} dot example",
  "Follow me for daily crypto signals, {digits}% profit guaranteed, message plus {digits}",
  "Cheap loans without checks!!! call {digits} today, limited offer",
];
