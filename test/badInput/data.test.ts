import { refuses } from './badInput.ts';
import { configurationFiles, wrongKinds } from './tables/configuration.ts';
import { benchmarkFiles, caseFiles, codeFiles, judgeFiles, requestFiles, withheldHazards } from './tables/library.ts';

refuses('a configuration:', configurationFiles);
refuses('a setting:', wrongKinds);
refuses('requests:', requestFiles);
refuses('hazards withheld:', withheldHazards);
refuses('cases:', caseFiles);
refuses('codes:', codeFiles);
refuses('judge rules:', judgeFiles);
refuses('a published benchmark:', benchmarkFiles);
