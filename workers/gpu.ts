/** Entry point of a gpu worker. */
import { main } from './main.ts';

await main('gpu');
