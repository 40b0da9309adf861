/**
 * The dataset's four files (`round0/` of PKU-Alignment/BeaverTails, revision 8401fe609d288129cc684a9b3be6a93e41cfe678) by their SHA-256, as public projects
 * that read them state it; of the 330k files three do, of the 30k files one.
 */
const splitOf = new Map([
  ['12f04c9200000929ebbc616c29cb53331f6df36e7341d73e4a12cffac0eb1c08', '330k_train'],
  ['1c726c662b85bf4761913041fe9e098f80e5206344864597dbde86bc9a1bfc96', '330k_test'],
  ['2e24b85dd599224eeb7379da297223bad50e11fea9fee6a7fdb4bd26aedec315', '30k_train'],
  ['0ce619bf4c421c12e578445b1fb8d1aedf4bf05ca3eb985f4ddf498a784769ff', '30k_test'],
]);

/** The split that a file is, byte for byte; undefined for a part, another format, or a copy of one's own. */
export function publishedSplit(sha256: string): string | undefined {
  return splitOf.get(sha256);
}
