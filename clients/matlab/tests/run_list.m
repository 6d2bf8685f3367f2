function run_list(tests)
% run_list  Runs tests, a cell of {name, function} rows, one line each; error spiked:test if one failed.

% SPDX-License-Identifier: BSD-3-Clause
failed = 0;
for i = 1:size(tests, 1)
    started = tic();
    try
        tests{i, 2}();
        fprintf('ok    %-40s %8.1f ms\n', tests{i, 1}, 1e3 * toc(started));
    catch e
        failed = failed + 1;
        fprintf('FAIL  %s: [%s] %s\n', tests{i, 1}, e.identifier, e.message);
        for k = 1:min(4, numel(e.stack))
            fprintf('        %s:%d\n', e.stack(k).name, e.stack(k).line);
        end
    end
end
fprintf('%d tests, %d failed\n', size(tests, 1), failed);
if failed
    error('spiked:test', '%d of %d tests failed', failed, size(tests, 1));
end
end
