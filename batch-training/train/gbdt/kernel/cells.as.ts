/** Sizes of histograms, in bytes: a cell, a feature of 256 cells, a block of eight features. */
export const CELL: usize = 16;
export const FEATURE_BYTES: usize = 4096;
export const BLOCK_BYTES: usize = 32768;
