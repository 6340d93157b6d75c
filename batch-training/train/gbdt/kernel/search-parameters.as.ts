/** Offsets into the search parameters (see `layout.ts`, `SearchParameters`). */
export const P_GRADIENT_UNIT: usize = 0;
export const P_HESSIAN_UNIT: usize = 8;
export const P_L2: usize = 16;
export const P_L1: usize = 24;
export const P_MIN_HESSIAN: usize = 32;
export const P_MIN_GAIN: usize = 40;
export const P_COUNT_BIT: usize = 48;
export const P_MIN_ROWS: usize = 52;
