import { refuses } from './badInput.ts';
import { artifactObjects, storeAddresses, storeKeys } from './tables/artifacts.ts';
import { beaverTailsFiles } from './tables/beaverTails.ts';
import { commandLines, runRecords } from './tables/commandLine.ts';
import { markCommands, markFiles } from './tables/marks.ts';

refuses('the address of a store:', storeAddresses);
refuses('a key of a store:', storeKeys);
refuses('an artifact', artifactObjects);
refuses('a command line:', commandLines);
refuses('the record of a run:', runRecords);
refuses('a file of marks:', markFiles);
refuses('marks:', markCommands);
refuses('a dataset to import:', beaverTailsFiles);
