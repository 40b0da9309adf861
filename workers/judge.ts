/** Entry point of a judge worker. */
import { main } from './main.ts';

await main('judge');
