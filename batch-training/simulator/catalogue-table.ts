/**
 * What the simulated shop sells, as data: one row per narrow category.
 * `price` is the median in cents; `spread` the sigma of its logarithm; `again` the usual days until the same article is
 * bought again, 0 for what is bought once; `with` what people buy with it; `resale` how easily a thief sells it on, 0 to 1.
 */
export interface CategoryRow {
  readonly department: string;
  readonly category: string;
  readonly noun: string;
  readonly price: number;
  readonly spread: number;
  readonly again: number;
  readonly with: readonly string[];
  readonly resale: number;
}

type Row = [
  category: string,
  noun: string,
  price: number,
  spread: number,
  again: number,
  resale: number,
  with_: readonly string[],
];

const TABLE: Readonly<Record<string, readonly Row[]>> = {
  electronics: [
    ["phones", "phone", 44_900, 0.5, 0, 1, ["phone-cases", "chargers", "headphones"]],
    ["phone-cases", "phone case", 1_990, 0.4, 0, 0.05, ["chargers"]],
    ["chargers", "charger", 2_490, 0.4, 0, 0.1, ["phone-cases"]],
    ["headphones", "headphones", 8_900, 0.7, 0, 0.6, ["chargers"]],
    ["laptops", "laptop", 84_900, 0.45, 0, 1, ["laptop-bags", "keyboards"]],
    ["laptop-bags", "laptop bag", 4_490, 0.4, 0, 0.1, []],
    ["keyboards", "keyboard", 5_990, 0.5, 0, 0.2, ["laptop-bags"]],
    ["smartwatches", "smartwatch", 21_900, 0.5, 0, 0.8, ["chargers"]],
  ],
  gaming: [
    ["consoles", "game console", 39_900, 0.25, 0, 1, ["games", "controllers"]],
    ["games", "game", 4_490, 0.35, 0, 0.3, ["controllers"]],
    ["controllers", "controller", 5_490, 0.3, 0, 0.4, ["games"]],
  ],
  kitchen: [
    ["coffee-machines", "coffee machine", 19_900, 0.6, 0, 0.4, ["coffee", "mugs"]],
    ["coffee", "coffee beans", 1_390, 0.3, 24, 0, ["mugs"]],
    ["mugs", "mug", 1_190, 0.4, 0, 0, ["coffee"]],
    ["cookware", "pan", 4_990, 0.6, 0, 0.1, ["knives", "cookbooks"]],
    ["knives", "kitchen knife", 4_490, 0.6, 0, 0.1, ["cookware"]],
  ],
  fashion: [
    ["dresses", "dress", 5_990, 0.5, 0, 0.1, ["handbags", "shoes"]],
    ["shirts", "shirt", 3_490, 0.4, 0, 0.1, ["jeans"]],
    ["jeans", "jeans", 6_490, 0.4, 0, 0.15, ["shirts", "shoes"]],
    ["shoes", "pair of shoes", 7_990, 0.4, 0, 0.3, ["socks"]],
    ["socks", "pack of socks", 1_290, 0.3, 0, 0, []],
    ["jackets", "jacket", 11_900, 0.5, 0, 0.3, ["shirts"]],
    ["handbags", "handbag", 12_900, 0.7, 0, 0.7, []],
  ],
  beauty: [
    ["perfume", "perfume", 6_990, 0.5, 0, 0.8, ["skincare"]],
    ["skincare", "face cream", 2_490, 0.6, 40, 0.1, []],
    ["razors", "razor", 3_990, 0.8, 0, 0.1, ["razor-blades"]],
    ["razor-blades", "pack of razor blades", 1_990, 0.3, 33, 0.2, []],
  ],
  sports: [
    ["running-shoes", "pair of running shoes", 10_900, 0.3, 0, 0.4, ["socks", "running-wear"]],
    ["running-wear", "running shirt", 3_290, 0.4, 0, 0.1, ["running-shoes"]],
    ["yoga", "yoga mat", 3_490, 0.5, 0, 0, ["running-wear"]],
    ["bikes", "bike", 64_900, 0.5, 0, 0.6, ["bike-helmets", "bike-lights"]],
    ["bike-helmets", "bike helmet", 6_490, 0.4, 0, 0.1, ["bike-lights"]],
    ["bike-lights", "bike light", 2_990, 0.4, 0, 0, []],
    ["tents", "tent", 17_900, 0.5, 0, 0.2, ["sleeping-bags"]],
    ["sleeping-bags", "sleeping bag", 8_900, 0.4, 0, 0.1, ["tents"]],
  ],
  family: [
    ["diapers", "pack of diapers", 2_290, 0.2, 13, 0, ["baby-food", "wipes"]],
    ["wipes", "pack of wipes", 690, 0.2, 13, 0, ["diapers"]],
    ["baby-food", "set of baby food", 1_490, 0.2, 10, 0, ["diapers"]],
    ["toys", "toy", 2_490, 0.5, 0, 0.1, ["children-books"]],
    ["children-books", "picture book", 1_290, 0.2, 0, 0, ["toys"]],
  ],
  pets: [
    ["dog-food", "bag of dog food", 3_490, 0.3, 27, 0, ["pet-toys"]],
    ["cat-food", "box of cat food", 2_490, 0.3, 20, 0, ["pet-toys"]],
    ["pet-toys", "pet toy", 990, 0.4, 0, 0, []],
  ],
  books: [
    ["novels", "novel", 1_290, 0.3, 0, 0, ["novels"]],
    ["cookbooks", "cookbook", 2_490, 0.3, 0, 0, ["cookware"]],
    ["travel-guides", "travel guide", 1_790, 0.2, 0, 0, ["tents"]],
  ],
  office: [
    ["printers", "printer", 14_900, 0.5, 0, 0.3, ["ink", "paper"]],
    ["ink", "ink cartridge", 2_790, 0.4, 45, 0.3, ["paper"]],
    ["paper", "box of paper", 1_990, 0.2, 50, 0, ["ink"]],
  ],
  vouchers: [["gift-cards", "gift card", 2_500, 0.6, 0, 1, []]],
};

export const CATEGORIES: readonly CategoryRow[] = Object.entries(TABLE).flatMap(([department, rows]) =>
  rows.map(([category, noun, price, spread, again, resale, with_]) => ({
    department,
    category,
    noun,
    price,
    spread,
    again,
    with: with_,
    resale,
  })),
);

/** Invented brands; tier 0 is cheap, 2 is expensive. Each department is served by some of them. */
export const BRANDS: readonly {
  readonly name: string;
  readonly tier: 0 | 1 | 2;
  readonly departments: readonly string[];
}[] = [
  { name: "Alderon", tier: 2, departments: ["electronics", "gaming", "office"] },
  { name: "Pixonia", tier: 1, departments: ["electronics", "gaming"] },
  { name: "Voltby", tier: 0, departments: ["electronics", "office", "gaming"] },
  { name: "Kestrel Audio", tier: 2, departments: ["electronics"] },
  { name: "Brunnhof", tier: 2, departments: ["kitchen"] },
  { name: "Casa Lira", tier: 1, departments: ["kitchen", "books"] },
  { name: "Topfix", tier: 0, departments: ["kitchen"] },
  { name: "Maison Clairvel", tier: 2, departments: ["fashion", "beauty"] },
  { name: "Nordfaden", tier: 1, departments: ["fashion", "sports"] },
  { name: "Basix", tier: 0, departments: ["fashion", "beauty", "sports"] },
  { name: "Lumelle", tier: 1, departments: ["beauty"] },
  { name: "Trailhund", tier: 2, departments: ["sports", "pets"] },
  { name: "Fjellway", tier: 1, departments: ["sports", "books"] },
  { name: "Wichtel & Co", tier: 1, departments: ["family", "books"] },
  { name: "Milchbart", tier: 0, departments: ["family"] },
  { name: "Purzel", tier: 2, departments: ["family"] },
  { name: "Napfgold", tier: 1, departments: ["pets"] },
  { name: "Schnurr", tier: 0, departments: ["pets"] },
  { name: "Seitenblick", tier: 1, departments: ["books", "office"] },
  { name: "Kontor", tier: 0, departments: ["office", "books"] },
  { name: "Presenta", tier: 1, departments: ["vouchers"] },
];

/** How people's interests are made: weights over departments, from which a person's tastes are drawn. */
export const PERSONAS: readonly {
  readonly name: string;
  readonly share: number;
  readonly departments: Readonly<Record<string, number>>;
}[] = [
  { name: "techie", share: 18, departments: { electronics: 6, gaming: 3, office: 1, kitchen: 0.7, sports: 0.5 } },
  {
    name: "parent",
    share: 20,
    departments: { family: 7, kitchen: 2, books: 1.2, fashion: 1, beauty: 0.6, vouchers: 0.2 },
  },
  { name: "stylist", share: 20, departments: { fashion: 7, beauty: 3.5, sports: 0.6, vouchers: 0.3 } },
  { name: "athlete", share: 14, departments: { sports: 7, fashion: 1.2, electronics: 1, beauty: 0.4 } },
  { name: "host", share: 13, departments: { kitchen: 6, books: 2, beauty: 0.8, fashion: 0.8, vouchers: 0.3 } },
  { name: "pet owner", share: 9, departments: { pets: 7, books: 1, kitchen: 1, fashion: 0.6 } },
  { name: "freelancer", share: 6, departments: { office: 6, electronics: 2.5, books: 1.5, kitchen: 0.8 } },
];

export const ADJECTIVES = [
  "Classic",
  "Urban",
  "Pro",
  "Light",
  "Nova",
  "Prime",
  "Eco",
  "Comfort",
  "Select",
  "Studio",
  "Terra",
  "Vivid",
];
export const COLOURS = ["black", "white", "blue", "green", "red", "grey", "sand"];
