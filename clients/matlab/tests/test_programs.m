function tests = test_programs()
% test_programs  evaluate, compile, call and kernels, against a daemon.

% SPDX-License-Identifier: BSD-3-Clause
tests = {
    'evaluate'                            @evaluating
    'evaluate: sizes, as in MATLAB'       @sizes
    'evaluate: classes'                   @classes
    'evaluate: as Python has it'          @asPython
    'evaluate: errors'                    @expressionErrors
    'call: scalars'                       @scalars
    'call: vectors'                       @vectors
    'call: matrices'                      @matrices
    'call: several outputs'               @severalOutputs
    'call: written arguments'             @written
    'call: integers, to the last bit'     @integers
    'call: logical and complex'           @logicalAndComplex
    'call: empty'                         @empties
    'call: parallel'                      @parallel
    'call: defaults and helpers'          @helpers
    'call: errors'                        @callErrors
    'call: an endless kernel'             @endless
    'compile'                             @compiling
    'compile: errors'                     @compileErrors
    'kernels'                             @kernelList
    };
end

function sp = client()
persistent made
if isempty(made)
    made = spiked.Client();
end
sp = made;
end

function k = kernel(varargin)
% Of the lines of a text.
k = client().compile(strjoin(varargin, sprintf('\n')));
end

function checkText(what, e, part)
check(sprintf('%s: "%s" in "%s"', what, part, e.message), ~isempty(strfind(e.message, part)));
end

function evaluating()
sp = client();
x = linspace(-2, 2, 1001).';
y = cos(x);
check('a polynomial', isequal(sp.evaluate('3*x*x + 2*x + 1', 'x', x), 3 * x .* x + 2 * x + 1));
check('two names', isequal(sp.evaluate('where(x > y, x, -y)', 'x', x, 'y', y), max(x, -y) .* (x > y) - y .* (x <= y)));
check('functions', max(abs(sp.evaluate('sqrt(x*x) + sin(y)', 'x', x, 'y', y) - (abs(x) + sin(y)))) < 1e-14);
check('a sum', abs(sp.evaluate('sum(x)', 'x', x + 1) - 1001) < 1e-9);
check('a scalar', sp.evaluate('2*a + 1', 'a', 3) == 7);
check('no name', sp.evaluate('1 + 2') == 3);
end

function sizes()
sp = client();
row = 1:4;
column = (1:4).';
check('a row stays a row', isequal(sp.evaluate('2*x', 'x', row), 2 * row));
check('a column', isequal(sp.evaluate('2*x', 'x', column), 2 * column));
check('they expand', isequal(sp.evaluate('r + 10*c', 'r', row, 'c', column), row + 10 * column));
m = magic(4);
check('a square matrix and a column', isequal(sp.evaluate('m + 100*c', 'm', m, 'c', column), m + 100 * column));
check('and a row', isequal(sp.evaluate('m + 100*r', 'm', m, 'r', row), m + 100 * row));
m = reshape(1:24, 2, 3, 4);
check('three dimensions', isequal(sp.evaluate('m * 2', 'm', m), 2 * m));
m = reshape(1:6, 2, 3);
check('axes count from 0', isequal(sp.evaluate('sum(m, axis=0)', 'm', m), sum(m, 1).'));
check('one dimension', isequal(sp.evaluate('x + 1', 'x', {row, 1}), column + 1));
check('no element', isequal(size(sp.evaluate('x + 1', 'x', zeros(0, 3))), [0 3]));
end

function classes()
sp = client();
x = single([0.5 1.5]);
check('a scalar double does not widen', isa(sp.evaluate('a*x + 0.1', 'a', 2, 'x', x), 'single'));
check('a double array does', isa(sp.evaluate('a*x', 'a', [2 3], 'x', x), 'double'));
check('integers stay', isequal(sp.evaluate('x + y', 'x', int16([1 2]), 'y', int16(3)), int16([4 5])));
check('and wrap as in NumPy', isequal(sp.evaluate('x + y', 'x', int8([100 100]), 'y', int8(100)), int8([-56 -56])));
check('int16 and single', isa(sp.evaluate('x * y', 'x', int16([1 2]), 'y', single([1 2])), 'single'));
check('logical', isequal(sp.evaluate('(x > 1) & b', 'x', [1 2 3], 'b', [true true false]), [false true false]));
check('complex', isequal(sp.evaluate('z * z', 'z', [1+2i, 3i]), [1+2i, 3i] .^ 2));
big = int64([9007199254740993 -9223372036854775808]);
check('int64', isequal(sp.evaluate('x + 0', 'x', big), big));
end

function asPython()
e = jsondecode(fileread(fullfile(getenv('SPIKED_TEST_DIR'), 'expected.json')));
x = typecast(unhex(e.x), 'double');
m = reshape(typecast(unhex(e.m), 'double'), 3, 5);
check('an expression', isequal(client().evaluate(e.expression, 'x', x), typecast(unhex(e.evaluated), 'double')));
k = client().compile(e.source, 'Kernel', 'outer');
sp = client();
[a, b] = sp.call(k, m, x(1:5), 0.25);
check('a kernel', isequal(a, reshape(typecast(unhex(e.first), 'double'), 3, 5)) && isequal(b, typecast(unhex(e.second), 'double').'));
end

function expressionErrors()
sp = client();
e = checkError('spiked:invalid', @() sp.evaluate('x + nobody', 'x', 1));
checkText('the name', e, 'nobody');
e = checkError('spiked:invalid', @() sp.evaluate('x +', 'x', 1));
checkText('the operation', e, 'evaluate: ');
e = checkError('spiked:invalid', @() sp.evaluate('x + y', 'x', 1:3, 'y', 1:4));
checkText('shapes', e, 'shape');
checkError('spiked:invalid', @() sp.evaluate('x', 'x'));
checkError('spiked:invalid', @() sp.evaluate('x', 'x', 'text'));
checkError('spiked:invalid', @() sp.evaluate('x', 'x', sparse(eye(3))));
checkError('spiked:invalid', @() sp.evaluate('x', 'x', {1:3}));
check('and still in order', sp.evaluate('x', 'x', 5) == 5);
end

function scalars()
sp = client();
k = kernel('def add(a, b):', '    return a + b');
check('doubles', isequal(sp.call(k, 1, 2.5), 3.5));
check('an integer and a double', isequal(sp.call(k, int32(1), 2), 3));
n = sp.call(k, int32(1), uint8(2));
check('integers are int64 in kernels', isa(n, 'int64') && n == 3);
s = sp.call(k, single(1), single(0.5));
check('single', isa(s, 'single') && s == 1.5);
check('nan and inf', isnan(sp.call(k, NaN, 1)) && sp.call(k, Inf, 1) == Inf);
end

function vectors()
sp = client();
k = kernel('def ema(x, alpha):', '    y = np.empty_like(x)', '    y[0] = x[0]', '    for i in range(1, len(x)):', ...
    '        y[i] = alpha * x[i] + (1 - alpha) * y[i - 1]', '    return y');
x = sin(1:50);
want = filter(0.5, [1 -0.5], x - x(1)) + x(1);
y = sp.call(k, x, 0.5);
check('a column', isequal(size(y), [50 1]) && max(abs(y.' - want)) < 1e-14);
check('of a column too', isequal(sp.call(k, x.', 0.5), y));
check('single', isa(sp.call(k, single(x), single(0.5)), 'single'));
large = rand(1, 300000);
sum_of = kernel('def total(x):', '    s = 0', '    for v in x:', '        s += v', '    return s');
check('several pieces', sp.call(sum_of, int16(floor(large * 100))) == sum(floor(large * 100)));
check('one element', isequal(sp.call(k, {7, 1}, 0.5), 7));
end

function matrices()
sp = client();
k = kernel('def probe(m):', '    return m.shape[0], m.shape[1], m[1, 2], m.T');
m = reshape(1:12, 3, 4);
[rows, columns, one, turned] = sp.call(k, m);
check('the shape', rows == 3 && columns == 4);
check('m[1, 2] is m(2, 3)', one == m(2, 3));
check('results', isequal(turned, m.'));
[rows, columns] = sp.call(kernel('def size(m):', '    return m.shape[0], m.shape[1]'), {5:9, 2});
check('a row as a matrix', rows == 1 && columns == 5);
k = kernel('def fill(n, m):', '    out = np.zeros((n, m), np.int32)', '    for i in range(n):', '        for j in range(m):', ...
    '            out[i, j] = 10 * i + j', '    return out');
out = sp.call(k, int64(3), int64(2));
check('row-major there, right here', isa(out, 'int32') && isequal(out, int32([0 1; 10 11; 20 21])));
c = reshape(1:24, 2, 3, 4);
check('three dimensions', isequal(sp.call(kernel('def twice(c):', '    return c * 2'), c), 2 * c));
end

function severalOutputs()
sp = client();
k = kernel('def both(x):', '    return x.min(), x.max()');
[low, high] = sp.call(k, [3 1 2]);
check('two', low == 1 && high == 3);
check('the first alone', sp.call(k, [3 1 2]) == 1);
checkError('spiked:invalid', @() four(k));
end

function four(k)
sp = client();
[~, ~, ~, ~] = sp.call(k, [3 1 2]);
end

function written()
sp = client();
k = kernel('def clip(x, limit):', '    n = 0', '    for i in range(len(x)):', '        if x[i] > limit:', '            x[i] = limit', ...
    '            n += 1', '    return n');
x = [1 5 9];
[n, after] = sp.call(k, x, 4);
check('a value', n == 2 && isequal(x, [1 5 9]));
check('the arguments, in their size', isequal(after, {[1 4 4], 4}));
k = kernel('def zero(m):', '    m[0, 1] = 7');
after = sp.call(k, eye(2));
check('without a result', isequal(after{1}, [1 7; 0 1]));
sp.call(k, eye(2));
k = kernel('def itself(x):', '    x[0] = 2', '    return x');
check('an argument that is returned', isequal(sp.call(k, int16([1 1])), int16([2 1])));
end

function integers()
sp = client();
k = kernel('def same(x):', '    return x.copy()');
for kind = {'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64'}
    x = [intmin(kind{1}); intmax(kind{1}); cast(3, kind{1})];
    y = sp.call(k, x);
    check(kind{1}, isa(y, kind{1}) && isequal(y, x));
end
k = kernel('def add(a, b):', '    return a + b');
check('above 2^53', sp.call(k, int64(9007199254740993), int64(2)) == int64(9007199254740995));
end

function logicalAndComplex()
sp = client();
k = kernel('def opposite(b):', '    out = np.empty(len(b), np.bool_)', '    for i in range(len(b)):', '        out[i] = not b[i]', ...
    '    return out, b[0]');
[y, first] = sp.call(k, [true false true]);
check('logical', islogical(y) && isequal(y, [false; true; false]) && islogical(first) && first);
k = kernel('def turn(z, w):', '    return z * w');
check('complex', isequal(sp.call(k, [1 2i], 1i), [1i; -2]));
z = sp.call(k, complex(single([1 2])), single(2));
check('single complex', isa(z, 'single') && isequal(z, single([2; 4])));
m = [1+1i 2; 3 4i; 5 6];
check('a complex matrix', isequal(sp.call(k, m, 2), 2 * m));
end

function empties()
sp = client();
k = kernel('def length(x):', '    return len(x), x');
for x = {[], zeros(1, 0), zeros(0, 1)}
    [n, y] = sp.call(k, x{1});
    check('none', n == 0 && isempty(y));
end
end

function parallel()
sp = client();
source = sprintf('def squares(x):\n    y = np.empty_like(x)\n    for i in prange(len(x)):\n        y[i] = x[i] * x[i]\n    return y\n');
k = sp.compile(source, 'Parallel', true, 'Like', {[1 2 3]});
loop = spiked.internal.asList(k.description.loops);
check('proved', ~isempty(strfind(loop{1}.verdict, 'parallel')));
x = rand(1, 200000);
check('right', isequal(sp.call(k, x), (x .* x).'));
source = sprintf('def running(x):\n    for i in prange(1, len(x)):\n        x[i] = x[i] + x[i - 1]\n');
strict = sp.compile(source, 'Parallel', true, 'Strict', true);
e = checkError('spiked:unsupported', @() sp.call(strict, x));
checkText('why', e, 'line 2');
[~] = sp.call(sp.compile(source, 'Parallel', true), x);
end

function helpers()
k = client().compile({'SCALE = 3', '', 'def twice(v):', '    return 2 * v', '', 'def main(x, by=5):', '    return SCALE * twice(x[0]) + by'}, ...
    'kernel', 'main');
check('helpers and defaults', client().call(k, [7 8]) == 47);
check('given', client().call(k, [7 8], 1) == 43);
end

function callErrors()
sp = client();
k = kernel('def at(x, i):', '    return x[i]');
check('indices start at 0', sp.call(k, [5 6 7], int64(0)) == 5);
e = checkError('spiked:invalid', @() sp.call(k, [5 6 7], int64(3)));
checkText('kernel', e, 'call: at');
checkText('what', e, 'index 3 is out of bounds');
e = checkError('spiked:invalid', @() sp.call(k, [5 6 7], 1));
checkText('a double is no index', e, 'line 2');
e = checkError('spiked:invalid', @() sp.call(k, [5 6 7]));
checkText('too few', e, 'argument');
checkError('spiked:notFound', @() sp.call('nobody', 1));
checkError('spiked:invalid', @() sp.call(5, 1));
checkError('spiked:invalid', @() sp.call(k, 'text', 1));
checkError('spiked:invalid', @() sp.call(k, {[1 2; 3 4], 1}, 1));
checkError('spiked:invalid', @() sp.call(k, {1:3}, 1));
e = checkError('spiked:invalid', @() sp.call(kernel('def f(n, m):', '    return n // m'), int64(1), int64(0)));
checkText('division', e, 'zero');
k = sp.compile(sprintf('def f(n, m):\n    return n // m'), 'ErrorModel', 'numpy');
before = warning('off', 'spiked:warning');
restore = onCleanup(@() warning(before));
check('or 0', sp.call(k, int64(1), int64(0)) == 0);
end

function endless()
sp = spiked.Client('Timeout', 0.3);
started = tic();
checkError('spiked:deadline', @() sp.call(kernel('def f(x):', '    while x > 0:', '        x = x + 1.0', '    return x'), 1));
check('in time', toc(started) < 5);
end

function compiling()
sp = client();
k = sp.compile(sprintf('def f(x):\r\n    return x + 1\r\n'));
check('the only function', strcmp(k.name, 'f') && isempty(fieldnames(k.description)));
check('disp', ~isempty(strfind(evalc('disp(k)'), 'spiked.Kernel f')));
k = sp.compile(sprintf('def g(x, n):\n    return x[n]'), 'Like', {single([1 2]), int64(0)}, 'Accuracy', 'high', 'Fastmath', false);
check('described', strcmp(k.description.name, 'g') && ~isempty(k.description.signature) && strcmp(k.options.accuracy, 'high') && ~k.options.fastmath);
before = sp.stats();
sp.call(k, single([3 4]), int64(1));
after = sp.stats();
check('not compiled again', isequal(before.programs.misses, after.programs.misses));
sp.compile(sprintf('def kept(x):\n    return 2 * x'), 'Like', {1}, 'Register', 'octave_kept');
check('by its name', sp.call('octave_kept', 21) == 42);
end

function compileErrors()
sp = client();
e = checkError('spiked:invalid', @() sp.compile(sprintf('def f(x):\n    return nobody'), 'Like', {1}));
checkText('place', e, 'line 2');
checkText('name', e, 'nobody');
checkError('spiked:invalid', @() sp.compile(sprintf('def f(x):\n    return (x'), 'Like', {1}));
checkError('spiked:invalid', @() sp.compile('x = 1'));
e = checkError('spiked:invalid', @() sp.compile(sprintf('def f(x):\n    return x\ndef g(x):\n    return x')));
checkText('which', e, '''Kernel''');
checkError('spiked:invalid', @() sp.compile(5));
checkError('spiked:invalid', @() sp.compile('def f(x): return x', 'Register', 'name'));
checkError('spiked:invalid', @() sp.compile('def f(x): return x', 'Threads', 4));
end

function kernelList()
sp = client();
k = kernel('def listed_here(x):', '    return x');
sp.call(k, 5);
[list, cache] = sp.kernels();
names = cellfun(@(s) s.name, list, 'UniformOutput', false);
check('in the list', any(strcmp(names, 'listed_here')));
check('counts', cache.programs >= 1);
list = sp.kernels('Forget', 'listed_here');
check('forgotten', ~any(cellfun(@(s) strcmp(s.name, 'listed_here'), list)));
check('and compiled again', sp.call(k, 5) == 5);
checkError('spiked:notFound', @() sp.kernels('Forget', 'nobody'));
end
