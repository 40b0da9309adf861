/** Quantiles of the standard normal distribution, to the precision of a double (Wichura 1988, algorithm AS 241): the only two that intervals and power need. */

/** 97.5 %: of a two-sided test, or interval, at 5 %. */
export const z975 = 1.959963984540054;

/** 80 %: of a power of .8. */
export const z80 = 0.8416212335729143;

/** Standard errors of a difference that a two-sided test at 5 % finds with 80 % probability (Cohen 1988, chapter 2). */
export const foundStandardErrors = z975 + z80;
