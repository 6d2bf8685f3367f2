classdef Client < handle
% Client  A connection to a spiked daemon.
%
%   sp = spiked.Client()
%   sp = spiked.Client('Url', 'tcp://127.0.0.1:5570', 'Token', token, 'Timeout', 60)
%
%   Url      default: the environment's SPIKED_URL, else the address in endpoint.json of this user's daemon
%   Token    default: the environment's SPIKED_TOKEN, else the one in endpoint.json
%   Timeout  seconds a request may take; default: the daemon's limits.deadline
%
%   sp.ping()                         seconds of a round trip
%   sp.info(), sp.stats()             what the daemon says of itself, as structs
%   sp.open(file, ...)                a recording: spiked.Recording
%   sp.read(file, first, last, ...)   frames of a file
%   sp.detectPeaks(x, fs, ...)        spikes in a matrix (frames x channels)
%   sp.reduce(x, operations, ...)     mean, std, ... of each channel of a matrix
%   sp.evaluate(expression, ...)      an array expression of Python, compiled
%   sp.compile(source, ...)           a function of Python with loops: spiked.Kernel
%   sp.call(kernel, ...)              its results; sp.kernels(): those the daemon has
%   sp.close()                        also when sp is cleared
%
%   Indices are 1-based here and 0-based in the daemon. A matrix travels as it is, column-major and in its class.
%   Errors have identifiers spiked:invalid, spiked:notFound, ...: see README.md. After an error the next call connects anew where needed.
%
%   See also spiked.Recording, spiked.Kernel, spiked.bandpass, spiked.highpass, spiked.commonReference

% SPDX-License-Identifier: BSD-3-Clause

    properties (SetAccess = private)
        url = ''        % tcp://HOST:PORT
        version = ''    % of the daemon
        pid = 0         % of the daemon
        limits = struct()   % message_bytes, header_bytes, client_requests
    end

    properties
        timeout = []    % seconds a request may take; []: the daemon's limits.deadline
    end

    properties (Access = private)
        token = ''
        socket = []
        tag = 0
        isClosed = false
    end

    methods
        function obj = Client(varargin)
            o = spiked.internal.parseOptions('Client', struct('Url', '', 'Token', '', 'Timeout', []), varargin);
            obj.timeout = o.Timeout;
            [obj.url, obj.token] = spiked.internal.findEndpoint(o.Url, o.Token);
            if spiked.internal.isOctave()
                name = 'octave';
            else
                name = 'matlab';
            end
            result = obj.request('hello', struct('client', name));
            obj.version = result.version;
            obj.pid = result.pid;
            obj.limits = result.limits;
        end

        function delete(obj)
            try
                obj.isClosed = true;
                obj.socket = [];
            catch
                % Octave exits and has taken the class apart already; the socket closes with its last reference.
            end
        end

        function close(obj)
            % close  Closes the connection. Never throws; may be called twice. The daemon goes on.
            obj.isClosed = true;
            obj.socket = [];
        end

        function disp(obj)
            % disp  One line that says where the daemon is.
            fprintf('<spiked.Client %s, daemon %s>\n', obj.url, obj.version);
        end

        function seconds = ping(obj)
            % ping  Round trip to the daemon, in seconds.
            started = tic();
            obj.request('ping', struct());
            seconds = toc(started);
        end

        function result = info(obj)
            % info  Version, threads, endpoints, open recordings, and options that differ from their default, as a struct.
            result = obj.request('info', struct());
        end

        function result = stats(obj)
            % stats  Cumulative counts and nanoseconds of each operation and stage, as a struct.
            result = obj.request('stats', struct());
        end

        function rec = open(obj, file, varargin)
            % open  Open a recording.
            %
            %   rec = sp.open(file)                          file on the daemon's machine; a relative path starts at pwd
            %   rec = sp.open(file, 'Recording', path)       path of the stream in the file, when it holds several
            %   rec = sp.open(file, 'Dataset', path, 'SamplingFrequency', fs, 'TimeAxis', 1, 'GainUV', 1, 'OffsetUV', 0)
            %                                                a plain 2-D dataset of an HDF5 file: Hz; which axis is time, 1 or 2, in
            %                                                the order that h5py and NumPy show; microvolts = value * gain + offset
            %
            %   rec   spiked.Recording
            %
            %   Errors: spiked:notFound, spiked:denied (a path outside the daemon's roots), spiked:corrupt, spiked:unsupported, spiked:invalid.
            [name, o] = spiked.internal.recordingName('open', file, varargin);
            [result, arrays] = obj.request('open', name, {}, o.Timeout);
            rec = spiked.Recording(obj, name, result, arrays);
        end

        function x = read(obj, file, varargin)
            % read  Frames of a file: sp.open(file) and rec.read(...) in one.
            %
            %   x = sp.read(file)                    all frames of segment 1
            %   x = sp.read(file, first, last, 'Channels', idx, 'Scaled', true)
            %
            %   Shapes, options and errors: see spiked.Recording.read and spiked.Client.open.
            rec = obj.open(file);
            x = rec.read(varargin{:});
        end

        function [peaks, details] = detectPeaks(obj, x, fs, varargin)
            % detectPeaks  Detect spikes in a matrix.
            %
            %   peaks = sp.detectPeaks(x, fs)
            %   peaks = sp.detectPeaks(x, fs, 'PeakSign', 'neg', 'DetectThreshold', 5, ...)
            %   [peaks, details] = sp.detectPeaks(...)
            %
            %   x    (frames, channels), integers, single or double; sent in its class, not copied as a whole
            %   fs   Hz
            %
            %   Options (all but Output, SkipDone, Segment, First and Last), the result and the errors: see spiked.Recording.detectPeaks.
            %   Method 'locally_exclusive' needs ChannelLocations (channels, 2 or 3), micrometres; ThresholdUnit 'uV' is of files only.
            %   spiked:tooLarge if the matrix does not fit in limits.message_bytes.
            o = spiked.internal.parseOptions('detectPeaks', spiked.internal.detectionDefaults(), varargin);
            params = struct('sampling_frequency', spiked.internal.number('detectPeaks', 'fs', fs));
            [params, noise] = spiked.internal.detectionParams(params, o);
            [result, arrays, header] = obj.request('detect', params, [{'traces', x, 2}; noise], o.Timeout);
            peaks = spiked.internal.peakStruct(arrays.peaks, params.sampling_frequency);
            details = spiked.internal.detectionDetails(result, arrays, header);
        end

        function result = reduce(obj, x, operations, varargin)
            % reduce  Reduce each channel of a matrix over time.
            %
            %   m = sp.reduce(x, 'mean')                       (1, channels)
            %   r = sp.reduce(x, {'mean', 'std', 'count_above'}, 'Threshold', 50)   struct of one (1, channels) row each
            %
            %   x                  (frames, channels), integers, single or double; sent in its class. A row is one frame.
            %   operations         count_above (x > Threshold) sum sum_of_squares weighted_sum (+x above Threshold, -x otherwise) mean std (of the
            %                      population) rms min max mad cumsum (frames, channels)
            %   Threshold          in the unit of x
            %   Preprocess         cell of stages; needs SamplingFrequency
            %   SamplingFrequency  Hz; needed for mad and Preprocess
            %   Seed               of the noise sampling of mad
            %   Timeout            seconds
            %
            %   All results are double. Errors: spiked:invalid, spiked:tooLarge if the matrix does not fit in limits.message_bytes.
            o = spiked.internal.parseOptions('reduce', ...
                struct('Threshold', [], 'Preprocess', {{}}, 'SamplingFrequency', [], 'Seed', [], 'Timeout', []), varargin);
            params = spiked.internal.reductionParams(struct(), operations, o);
            if ~isempty(o.SamplingFrequency)
                params.sampling_frequency = spiked.internal.number('reduce', 'SamplingFrequency', o.SamplingFrequency);
            end
            [~, arrays] = obj.request('reduce', params, {'traces', x, 2}, o.Timeout);
            result = spiked.internal.reductionResult(operations, arrays);
        end

        function y = evaluate(obj, expression, varargin)
            % evaluate  An array expression, written as in Python with NumPy, in machine code.
            %
            %   y = sp.evaluate('3*x**2 + 2*x + 1', 'x', x)
            %   y = sp.evaluate('where(x > y, sqrt(x), -y)', 'x', x, 'y', y)
            %
            %   name, value   each name of the expression: logical, integers, single, double, real or complex
            %
            %   Matrices keep their size: rows and columns expand against each other as in MATLAB. {v, 1} sends a vector as one dimension.
            %   Classes combine as in NumPy: int16 + single is single. A scalar double takes the class of single arrays that it meets; int32(5) and
            %   single(5) are of their class.
            %   y   a scalar, a column for one dimension, else of its size. Indices inside the expression start at 0.
            %
            %   Errors: spiked:invalid for a text, name or size that does not fit, spiked:tooLarge, spiked:deadline.
            if mod(numel(varargin), 2) ~= 0
                spiked.internal.fail('invalid', 'evaluate: a name has no value', 'for example sp.evaluate(''2*x'', ''x'', x)');
            end
            names = cellfun(@spiked.internal.asChar, varargin(1:2:end), 'UniformOutput', false);
            args = varargin(2:2:end);
            weak = cellfun(@(a) isa(a, 'double') && isscalar(a), args);
            arrays = spiked.internal.programArrays('evaluate', args, false);
            params = struct('expression', spiked.internal.asChar(expression), 'names', {names}, 'weak', {num2cell(find(weak) - 1)});
            [result, arrays] = obj.request('evaluate', params, arrays);
            y = spiked.internal.programResults(result, arrays, args);
            y = y{1};
        end

        function kernel = compile(obj, source, varargin)
            % compile  A kernel: a function of Python with loops, for sp.call and rec.map.
            %
            %   k = sp.compile(source)                      text, or a cell of lines, with one function
            %   k = sp.compile(source, 'Kernel', name)      the function to call, where the text has several
            %   k = sp.compile(source, 'Like', {x, 0.5})    compiled at once, for arguments like these; without it at the first call
            %
            %   Parallel           true: prange loops run in parallel where that is proved right
            %   Strict             true: an error if a prange loop cannot
            %   AssumeIndependent  true: you vouch for what cannot be proved
            %   Fastmath           true: sums and products may be re-ordered
            %   Accuracy           'fast' (4 ULP), 'high' (about 1)
            %   ErrorModel         'python': an integer divided by zero is an error; 'numpy': 0 and a warning
            %   Register           name to keep the source under: then sp.call(name, ...) works in every client. Needs Like
            %   Timeout            seconds
            %
            %   k   spiked.Kernel. Errors: spiked:invalid, with line and column of what is wrong.
            defaults = struct();
            for option = {'Kernel', 'Like', 'Parallel', 'Strict', 'AssumeIndependent', 'Fastmath', 'Accuracy', 'ErrorModel', 'Register', 'Timeout'}
                defaults.(option{1}) = [];
            end
            o = spiked.internal.parseOptions('compile', defaults, varargin);
            kernel = spiked.internal.kernelOf(source, o);
            if iscell(o.Like)
                params = spiked.internal.compileParams(kernel, o.Like, o.Register);
                kernel = described(kernel, obj.request('compile', params, {}, o.Timeout));
            elseif ~isempty(o.Like) || ~isempty(o.Register)
                spiked.internal.fail('invalid', 'compile: Like must be a cell of arguments', 'for example ''Like'', {x, 0.5}');
            end
        end

        function varargout = call(obj, kernel, varargin)
            % call  Runs a kernel.
            %
            %   y = sp.call(k, x, 0.1)              k: of sp.compile, or the name of a registered kernel
            %   [a, b] = sp.call(k, ...)            of a kernel that returns two values
            %   [y, after] = sp.call(k, x, 0.1)     one output more: the arguments as the kernel left them, a cell
            %
            %   Arguments are passed by value: a kernel that writes into x changes after{1}, not your x.
            %   x of n x 1 or 1 x n (and []) has one dimension in the kernel, a larger matrix its own; {x, 1} and {x, 2} say which.
            %   A scalar is a number of its class: 5 is float64, int64(5) an integer, true a bool. Indices in the kernel start at 0.
            %   Results: a scalar, a column for one dimension, else of its size, in the kernel's class. Time limit: sp.timeout.
            %
            %   Errors: spiked:invalid (does not compile, or failed: kernel, line and why), spiked:notFound, spiked:tooLarge, spiked:deadline.
            arrays = spiked.internal.programArrays('call', varargin, true);
            [result, arrays] = obj.request('call', spiked.internal.kernelParams('call', kernel), arrays);
            [results, after] = spiked.internal.programResults(result, arrays, varargin);
            varargout = spiked.internal.outputs('call', nargout, results, {after});
        end

        function [list, cache] = kernels(obj, varargin)
            % kernels  The programs that the daemon has compiled, of all its clients.
            %
            %   list = sp.kernels()                    cell of structs: name, signature, expression, hits, compile_ns, ...
            %   [list, cache] = sp.kernels()           and counts of the cache, a struct
            %   list = sp.kernels('Forget', name)      drops one first, by name or id
            o = spiked.internal.parseOptions('kernels', struct('Forget', ''), varargin);
            params = struct();
            if ~isempty(o.Forget)
                params.forget = o.Forget;
            end
            result = obj.request('kernels', params);
            list = spiked.internal.asList(result.kernels);
            cache = result.cache;
        end

        function [result, arrays, header] = request(obj, op, params, arrays, timeout)
            % request  Any operation of protocol/SPEC.md section 4, by its wire names and 0-based indices; the methods above are made of it.
            %
            %   [result, arrays, header] = sp.request(op, params, arrays, timeout)
            %
            %   params   struct; lists as cells
            %   arrays   cell with a row {name, matrix, dimensions on the wire or the whole descriptor} for each array to send
            %   result   struct; arrays: struct of the arrays of the reply; header: all of the reply's header
            %
            %   BUSY is tried again a few times, after as long as the daemon says. Warnings of the reply become spiked:warning.
            if nargin < 4
                arrays = {};
            end
            if nargin < 5 || isempty(timeout)
                timeout = obj.timeout;
            end
            tries = 8;
            for i = 1:tries
                [header, received] = obj.exchange(op, params, arrays, timeout);
                if ~strcmp(header.status, 'BUSY') || i == tries
                    break
                end
                pause(i * spiked.internal.retryAfter(header));
            end
            if ~strcmp(header.status, 'OK')
                spiked.internal.raiseReply(op, header);
            end
            if isfield(header, 'warnings')
                for text = spiked.internal.asList(header.warnings)
                    warning('spiked:warning', '%s', text{1});
                end
            end
            result = header.result;
            arrays = received;
        end
    end

    methods (Access = private)
        function [header, received] = exchange(obj, op, params, arrays, timeout)
            id = spiked.internal.requestId();
            data = {};
            if ~isempty(arrays)
                data = arrays(:, 2);
            end
            [request, sizes] = spiked.internal.requestHeader(op, params, arrays, timeout, obj.token);
            [head, pads, nbody] = spiked.internal.requestHead(id, request, sizes);
            obj.checkSize(op, numel(head), nbody);
            seconds = Inf;
            if ~isempty(timeout)
                seconds = timeout + 5;    % the daemon keeps the deadline; this is for one that does not answer at all
            end
            s = obj.connected();
            s.begin();
            guard = onCleanup(@() abandon(s));
            obj.tag = mod(obj.tag + 1, 2^31);
            spiked.internal.sendRequest(@(bytes) s.put(bytes), obj.tag, head, pads, nbody, data);
            [got, header, received] = spiked.internal.receiveReply(@(n, seconds) s.get(n, seconds), obj.tag, seconds);
            if ~isequal(got, id)
                spiked.internal.fail('protocol', 'the reply belongs to another request');
            end
            s.finish();
        end

        function checkSize(obj, op, nhead, nbody)
            if ~isfield(obj.limits, 'message_bytes')
                return
            end
            if nbody > obj.limits.message_bytes
                spiked.internal.fail('tooLarge', sprintf('%s: %.0f bytes do not fit in one message of at most %.0f bytes', op, nbody, ...
                    obj.limits.message_bytes), 'store the data in a file and open it, send fewer frames at a time, or raise limits.message_bytes');
            elseif nhead - 32 > obj.limits.header_bytes
                spiked.internal.fail('tooLarge', sprintf('%s: a header of %.0f bytes is above the %.0f of limits.header_bytes', op, nhead - 32, ...
                    obj.limits.header_bytes), 'give fewer channels or parameters');
            end
        end

        function s = connected(obj)
            if obj.isClosed
                spiked.internal.fail('noDaemon', 'this client is closed', 'make a new one with spiked.Client()');
            end
            if isempty(obj.socket) || ~obj.socket.isOpen
                obj.socket = spiked.internal.Socket(obj.url);
            end
            s = obj.socket;
        end
    end
end
