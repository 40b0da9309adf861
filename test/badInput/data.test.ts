import { refuses } from './badInput.ts';
import { configurationFiles, wrongKinds } from './tables/configuration.ts';
import { guidanceSettings } from './tables/guidanceSettings.ts';
import { judgingSettings } from './tables/judgingSettings.ts';
import { trainingSettings } from './tables/trainingSettings.ts';
import {
  benchmarkFiles,
  caseFiles,
  codeFiles,
  decontaminatedLibraries,
  judgeFiles,
  requestFiles,
  withheldHazards,
} from './tables/library.ts';

refuses('a configuration:', [...configurationFiles, ...guidanceSettings, ...trainingSettings, ...judgingSettings]);
refuses('a setting:', wrongKinds);
refuses('requests:', requestFiles);
refuses('hazards withheld:', withheldHazards);
refuses('library decontaminated:', decontaminatedLibraries);
refuses('cases:', caseFiles);
refuses('codes:', codeFiles);
refuses('judge rules:', judgeFiles);
refuses('a published benchmark:', benchmarkFiles);
