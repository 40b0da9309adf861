/** Entry point of a control worker. */
import { main } from './main.ts';

await main('control');
